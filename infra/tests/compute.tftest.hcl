# Each kind of compute, planned whole: what is made, what the state machine is given, and what its role may do.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  image        = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  vpc_id       = "vpc-0a1b2c3d"
  subnet_ids   = ["subnet-0a1b2c3d", "subnet-1a2b3c4d"]
  databases    = { shop = { security_group_id = "sg-0a1b2c3d" } }
  notifier_zip = "tests/empty.zip"
  starter_zip  = "tests/empty.zip"
}

run "batch" {
  command = apply

  assert {
    condition     = length(module.batch) == 1 && length(module.fargate) == 0 && length(module.codebuild) == 0
    error_message = "Batch is the default, and nothing else is made beside it."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.nightly.definition, "arn:aws:states:::batch:submitJob.sync")
    error_message = "The definition must hold Batch's fragment."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.nightly.definition, "{% $command = 'snapshot' ?")
    error_message = "The holder of the snapshot must be on the queue without Spot."
  }

  assert {
    condition     = !strcontains(aws_sfn_state_machine.nightly.definition, "ComputeArguments") && !strcontains(aws_sfn_state_machine.nightly.definition, "$${")
    error_message = "No placeholder may be left."
  }

  assert {
    condition = toset([for statement in jsondecode(aws_iam_role_policy.machine.policy).Statement : statement.Sid]) == toset([
      "InvokeFunctions", "DeliverLogs", "WriteTraces", "SubmitTheJob", "TerminateJobs", "DescribeJobs", "ManagedRuleForJobs",
    ])
    error_message = "The machine's role has statements that nobody expects, or lacks some."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.blocked[0].event_pattern)["detail-type"] == ["Batch Job Queue Blocked"] && aws_cloudwatch_event_target.blocked[0].arn == aws_sns_topic.this[0].arn
    error_message = "The topic must hear of a blocked queue."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "MatchedEvents")
    error_message = "The dashboard must show blocked queues."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.nightly[0].target[0].input).time == "<aws.scheduler.scheduled-time>"
    error_message = "The schedule must tell the starter for when it was scheduled, unescaped."
  }

  assert {
    condition     = aws_scheduler_schedule.deadline[0].schedule_expression == aws_scheduler_schedule.nightly[0].schedule_expression && jsondecode(aws_scheduler_schedule.deadline[0].target[0].input).time == "<aws.scheduler.scheduled-time>"
    error_message = "The deadline's watch begins with each night, and is told for when that was scheduled."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.deadline[0].definition, "+ 180 * 60000") && !strcontains(aws_sfn_state_machine.deadline[0].definition, "$${")
    error_message = "The deadline is published_by_minutes after the schedule."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.never_started[0].treat_missing_data == "missing" && length(aws_cloudwatch_metric_alarm.never_started[0].insufficient_data_actions) == 1
    error_message = "The dead man's switch must be silent at the first apply, and go off when the data ends."
  }

  assert {
    condition     = alltrue([for alarm in [aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.slow, aws_cloudwatch_metric_alarm.undelivered, aws_cloudwatch_metric_alarm.not_published[0]] : alarm.treat_missing_data == "notBreaching"])
    error_message = "A new deployment has no data; no alarm may go to ALARM for that."
  }
}

run "fargate" {
  command = apply

  variables {
    compute = "fargate"
    fargate = { spot = true }
    shards  = [["orders", "sales.items"], ["audit.log"]]

    transform_state_machine_arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:dbt"
  }

  assert {
    condition     = length(module.batch) == 0 && length(module.fargate) == 1 && length(module.codebuild) == 0
    error_message = "Fargate alone is made."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.nightly.definition, "arn:aws:states:::ecs:runTask.sync")
    error_message = "The definition must hold ECS's fragment."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.nightly.definition, "FARGATE_SPOT") && !strcontains(aws_sfn_state_machine.nightly.definition, "LaunchType")
    error_message = "On Spot a capacity provider takes the place of the launch type."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.nightly.definition, "[['orders','sales.items'],['audit.log']]")
    error_message = "Shards written by hand must be JSONata within the definition."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.machine.policy).Statement :
      statement.Condition.StringEquals["iam:PassedToService"] == "ecs-tasks.amazonaws.com" if contains(statement.Action, "iam:PassRole")
    ])
    error_message = "Roles are passed to tasks only."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.machine.policy).Statement :
      statement.Condition.StringEquals["ecs:CreateAction"] if contains(statement.Action, "ecs:TagResource")
    ] == ["RunTask"]
    error_message = "RunTask puts the definition's tags on the task, and the machine may tag nothing else."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.machine.policy, "stateMachine:dbt")
    error_message = "The machine must be allowed to start what comes after the publish."
  }
}

run "pages_in_a_bucket_of_our_own" {
  command = apply

  assert {
    condition     = [for name, one in local.image_functions : name if contains(keys(merge(local.environment, name == "report" ? local.report_environment : {})), "ETL_REPORT_BUCKET")] == ["report"]
    error_message = "The function report alone is told the bucket."
  }

  assert {
    condition     = [for statement in local.report_statements : "${join(" ", statement.Action)} ${join(" ", statement.Resource)}"] == ["s3:PutObject ${local.reports_arn}/nights/* ${local.reports_arn}/jobs/*", "kms:GenerateDataKey ${module.settings.kms_key_arn}"]
    error_message = "It may put pages and use the deployment's key for them, and nothing else."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.reports[0].rule).bucket_key_enabled && one(one(aws_s3_bucket_server_side_encryption_configuration.reports[0].rule).apply_server_side_encryption_by_default).kms_master_key_id == module.settings.kms_key_arn
    error_message = "Pages are encrypted with the deployment's key."
  }

  assert {
    condition     = startswith(aws_s3_bucket.reports[0].bucket_prefix, "nightly-etl-reports-") && !aws_s3_bucket.reports[0].force_destroy
    error_message = "The bucket is named after the deployment, and stays with its pages."
  }
}

run "pages_in_your_bucket" {
  command = apply

  variables {
    create_reports_bucket = false
    reports_bucket        = "pages"
  }

  assert {
    condition     = length(aws_s3_bucket.reports) + length(aws_s3_bucket_policy.reports) == 0 && output.reports_bucket == "pages"
    error_message = "No other bucket is made, and yours is left as it is."
  }

  assert {
    condition     = [for statement in local.report_statements : statement.Sid] == ["WritePages"] && [for statement in output.report_reader_statements : statement.Sid] == ["ReadPages", "ListPages"]
    error_message = "Without a key of that bucket, nobody needs one."
  }
}

run "no_pages" {
  command = apply

  variables {
    create_reports_bucket = false
  }

  assert {
    condition     = length(aws_s3_bucket.reports) == 0 && output.reports_bucket == null && length(local.report_environment) + length(local.report_statements) + length(output.report_reader_statements) == 0
    error_message = "Without a bucket, nothing of it is left."
  }
}

run "without_a_schedule" {
  command = plan

  variables {
    schedule = { enabled = false }
  }

  assert {
    condition     = length(aws_sfn_state_machine.deadline) == 0 && length(aws_scheduler_schedule.deadline) == 0 && length(aws_cloudwatch_metric_alarm.not_published) == 0
    error_message = "A night that is not scheduled has no deadline."
  }
}

run "codebuild_without_a_source" {
  command = apply

  variables {
    compute = "codebuild"
  }

  assert {
    condition     = length(module.batch) == 0 && length(module.fargate) == 0 && length(module.codebuild) == 1
    error_message = "CodeBuild alone is made."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.nightly.definition, "arn:aws:states:::codebuild:startBuild.sync")
    error_message = "The definition must hold CodeBuild's fragment."
  }
}

run "codebuild_from_the_repository" {
  command = apply

  module {
    source = "./modules/codebuild"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    vpc_id             = "vpc-0a1b2c3d"
    security_group_ids = ["sg-0a1b2c3d"]
    source_code        = { type = "GITHUB", location = "https://github.com/example/nightly-etl.git", version = "main" }
  }

  assert {
    condition     = aws_codebuild_project.this.source[0].buildspec == "buildspec.yml" && aws_codebuild_project.this.source[0].type == "GITHUB"
    error_message = "With a source, the repository's buildspec is used."
  }

  assert {
    condition     = startswith(one(aws_codebuild_project.this.environment).image, "aws/codebuild/")
    error_message = "With a source, CodeBuild's own image is used."
  }
}

run "batch_on_ec2" {
  command = apply

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]
    platform           = "ec2"
  }

  assert {
    condition     = { for kind, made in aws_batch_compute_environment.this : kind => made.compute_resources[0].type } == { spot = "SPOT", on-demand = "EC2" }
    error_message = "On EC2 the environments are Spot's and on-demand's."
  }

  assert {
    condition     = alltrue([for made in aws_batch_compute_environment.this : join(",", made.compute_resources[0].instance_type) == "optimal"])
    error_message = "For x86_64 Batch chooses among its families for it."
  }

  assert {
    condition     = aws_launch_template.host[0].metadata_options[0].http_tokens == "required"
    error_message = "Hosts take signed requests for metadata only."
  }

  assert {
    condition     = [for order in aws_batch_job_queue.this.compute_environment_order : order.order] == [2, 1] || [for order in aws_batch_job_queue.this.compute_environment_order : order.order] == [1, 2]
    error_message = "Both environments are in the one queue, each with its place."
  }
}

run "batch_on_graviton_s_instances" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]
    platform           = "ec2"
    architecture       = "arm64"
  }

  assert {
    condition     = alltrue([for made in aws_batch_compute_environment.this : join(",", made.compute_resources[0].instance_type) == "default_arm64"])
    error_message = "An image for arm64 starts on Graviton alone."
  }
}

run "batch_on_graviton_s_families" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]
    platform           = "ec2"
    architecture       = "arm64"
    instance_types     = ["m7g", "c6gn.large", "r8gd", "a1", "t4g.small"]
  }

  assert {
    condition     = length(aws_batch_compute_environment.this["spot"].compute_resources[0].instance_type) == 5
    error_message = "Families of Graviton may be named."
  }
}

run "batch_on_graviton" {
  command = apply

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]
    architecture       = "arm64"
    runnable_minutes   = 20
  }

  assert {
    condition     = jsondecode(aws_batch_job_definition.this.container_properties).runtimePlatform == { operatingSystemFamily = "LINUX", cpuArchitecture = "ARM64" }
    error_message = "Fargate must be asked for Graviton, or it starts an x86_64 host."
  }

  assert {
    condition = alltrue([for queue in [aws_batch_job_queue.this, aws_batch_job_queue.steady] :
      { for action in queue.job_state_time_limit_action : action.reason => "${action.action} ${action.state} ${action.max_time_seconds}" } == {
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"           = "CANCEL RUNNABLE 1200"
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE" = "CANCEL RUNNABLE 1200"
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"         = "CANCEL RUNNABLE 1200"
      }
    ])
    error_message = "On both queues Batch must give up a job that it cannot place, whatever the reason."
  }

  assert {
    condition     = { for key, value in jsondecode(aws_batch_job_definition.this.container_properties).logConfiguration.options : key => value if !startswith(key, "awslogs-") } == { mode = "non-blocking", max-buffer-size = "10m" }
    error_message = "The log driver's mode is said, and not left to the account's default."
  }
}

run "fargate_on_graviton" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]
    architecture       = "arm64"
  }

  assert {
    condition     = aws_ecs_task_definition.this.runtime_platform[0].cpu_architecture == "ARM64"
    error_message = "Fargate must be asked for Graviton, or it starts an x86_64 host."
  }
}

run "codebuild_on_graviton" {
  command = plan

  module {
    source = "./modules/codebuild"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]
    architecture       = "arm64"
    source_code        = { type = "GITHUB", location = "https://github.com/example/nightly-etl.git", version = "main" }
  }

  assert {
    condition     = one(aws_codebuild_project.this.environment).type == "ARM_CONTAINER" && one(aws_codebuild_project.this.environment).image == "aws/codebuild/amazonlinux-aarch64-standard:3.0"
    error_message = "A build on Graviton needs the environment's type and an image for it."
  }
}

run "function_on_graviton" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    name         = "nightly-etl-plan"
    description  = "Plans"
    architecture = "arm64"
  }

  assert {
    condition     = aws_lambda_function.this.architectures == tolist(["arm64"])
    error_message = "Lambda must be asked for Graviton."
  }
}

run "fargate_alone" {
  command = apply

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]
    schedule           = { expression = "cron(15 1 * * ? *)", timezone = "Europe/Berlin", flexible_minutes = 15 }
    topic_arn          = "arn:aws:sns:eu-central-1:123456789012:alerts"
  }

  assert {
    condition     = aws_scheduler_schedule.this[0].target[0].arn == "arn:aws:ecs:eu-central-1:123456789012:cluster/mock"
    error_message = "The schedule runs the task in the cluster."
  }

  assert {
    condition     = { for key, value in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].logConfiguration.options : key => value if !startswith(key, "awslogs-") } == { mode = "non-blocking", max-buffer-size = "10m" }
    error_message = "The log driver's mode is said, and not left to the account's default."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.failed[0].event_pattern).detail["$or"][1].stopCode[0] == "TaskFailedToStart"
    error_message = "Tasks that never started are failures too."
  }
}

run "with_what_the_same_plan_makes" {
  command = apply

  module {
    source = "./tests/given"
  }

  variables {
    zip = "tests/empty.zip"
  }

  assert {
    condition     = module.nightly_etl.dashboard_name == "nightly-etl"
    error_message = "A database's group, a key, a topic and a cluster may come from the same plan."
  }
}

run "batch_with_a_container_of_yours" {
  command = apply

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]

    create_job_role = false
    job_role_arn    = "arn:aws:iam::123456789012:role/etl"

    volumes = {
      certificates = { path = "/rds", read_only = true, efs = { file_system_id = "fs-0a1b2c3d" } }
      scratch      = { path = "/tmp" }
    }

    container_secrets = {
      AGENT_KEY = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:agent-AbCdEf:key::"
      AGENT_URL = "arn:aws:ssm:eu-central-1:123456789012:parameter/agent/url"
    }

    container_secret_keys = ["arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"]
  }

  assert {
    condition     = length(aws_iam_role.job) == 0 && output.job_role_arn == var.job_role_arn && jsondecode(aws_batch_job_definition.this.container_properties).jobRoleArn == var.job_role_arn
    error_message = "A given role takes the place of the one made."
  }

  assert {
    condition = jsondecode(aws_batch_job_definition.this.container_properties).mountPoints == [
      { containerPath = "/rds", readOnly = true, sourceVolume = "certificates" },
      { containerPath = "/tmp", readOnly = false, sourceVolume = "scratch" },
    ]
    error_message = "The job's own container has the mounts."
  }

  assert {
    condition     = [for one in jsondecode(aws_batch_job_definition.this.container_properties).secrets : one.name] == ["AGENT_KEY", "AGENT_URL"] && jsondecode(aws_batch_job_definition.this.container_properties).readonlyRootFilesystem
    error_message = "The job's own container has the secrets."
  }

  assert {
    condition     = jsondecode(aws_batch_job_definition.this.container_properties).volumes[0].efsVolumeConfiguration.transitEncryption == "ENABLED" && keys(jsondecode(aws_batch_job_definition.this.container_properties).volumes[1]) == ["name"]
    error_message = "A volume is on EFS where a file system is named, encrypted on its way."
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Sid => statement.Resource if statement.Sid != "WriteJobLogs" } == {
      ReadContainerSecrets    = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:agent-AbCdEf"]
      ReadContainerParameters = ["arn:aws:ssm:eu-central-1:123456789012:parameter/agent/url"]
      DecryptContainerSecrets = ["arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"]
    }
    error_message = "The execution role reads what the container is given, and nothing else."
  }
}

run "fargate_with_a_container_of_yours" {
  command = apply

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    statements         = []
    security_group_ids = ["sg-0a1b2c3d"]

    create_job_role = false
    job_role_arn    = "arn:aws:iam::123456789012:role/etl"

    volumes = {
      certificates = { path = "/rds", read_only = true, efs = { file_system_id = "fs-0a1b2c3d" } }
      scratch      = { path = "/tmp" }
    }

    container_secrets = {
      AGENT_KEY = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:agent-AbCdEf:key::"
      AGENT_URL = "arn:aws:ssm:eu-central-1:123456789012:parameter/agent/url"
    }

    container_secret_keys = ["arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"]
  }

  assert {
    condition     = length(aws_iam_role.job) == 0 && output.job_role_arn == var.job_role_arn && aws_ecs_task_definition.this.task_role_arn == var.job_role_arn
    error_message = "A given role takes the place of the one made."
  }

  assert {
    condition = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].mountPoints == [
      { containerPath = "/rds", readOnly = true, sourceVolume = "certificates" },
      { containerPath = "/tmp", readOnly = false, sourceVolume = "scratch" },
    ]
    error_message = "The job's own container has the mounts."
  }

  assert {
    condition     = [for one in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets : one.name] == ["AGENT_KEY", "AGENT_URL"] && jsondecode(aws_ecs_task_definition.this.container_definitions)[0].readonlyRootFilesystem
    error_message = "The job's own container has the secrets."
  }

  assert {
    condition     = { for one in aws_ecs_task_definition.this.volume : one.name => length(one.efs_volume_configuration) } == { certificates = 1, scratch = 0 }
    error_message = "A volume is on EFS where a file system is named, encrypted on its way."
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Sid => statement.Resource if statement.Sid != "WriteJobLogs" } == {
      ReadContainerSecrets    = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:agent-AbCdEf"]
      ReadContainerParameters = ["arn:aws:ssm:eu-central-1:123456789012:parameter/agent/url"]
      DecryptContainerSecrets = ["arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"]
    }
    error_message = "The execution role reads what the container is given, and nothing else."
  }
}

run "for_jobs" {
  command = apply

  variables {
    jobs = { path = "/nightly-etl/jobs" }
  }

  assert {
    condition     = length(aws_scheduler_schedule.nightly) + length(aws_iam_role.schedule) + length(module.starter) + length(aws_sfn_state_machine.deadline) + length(aws_cloudwatch_metric_alarm.never_started) == 0
    error_message = "Jobs have their own schedules: the deployment has no night of its own."
  }

  assert {
    condition     = local.environment.ETL_PARAMETER_ROLE == aws_iam_role.job_settings[0].arn || endswith(local.environment.ETL_PARAMETER_ROLE, ":role/nightly-etl-job-settings")
    error_message = "The runner must be told which role to assume."
  }

  assert {
    condition     = !contains(keys(local.environment), "ETL_PARAMETER_PATH")
    error_message = "There are no settings of the deployment's own to fall back to."
  }

  assert {
    condition     = length([for statement in local.job_statements : statement if anytrue([for action in statement.Action : startswith(action, "ssm:")])]) == 0
    error_message = "Neither the copy nor its functions may read settings by themselves."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.nightly.definition, "whose settings are under /nightly-etl/jobs") && !strcontains(aws_sfn_state_machine.nightly.definition, "ExecutionInput\"")
    error_message = "The definition must know where the jobs' settings are."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_event_target.abort.input_transformer[0].input_template, "\"event\": <aws.events.event.json>")
    error_message = "The abort of a stopped execution must hear whose it was."
  }
}
