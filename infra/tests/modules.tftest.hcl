# Every validation of the modules' variables refuses what it is there to refuse. `terraform test`, no AWS.

mock_provider "aws" {
  source = "./tests/mocks"

  # Known in a plan, so that the check of the secrets' keys is: in a test an unknown one is an error.
  mock_resource "aws_kms_key" {
    override_during = plan
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
      id     = "00000000-0000-0000-0000-000000000000"
      key_id = "00000000-0000-0000-0000-000000000000"
    }
  }
}


run "image_bad_values_first" {
  command = plan

  module {
    source = "./modules/image"
  }

  variables {
    name = "Nightly"
    keep = 1
  }

  expect_failures = [
    var.name,
    var.keep,
  ]
}

run "settings_bad_values_first" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name              = "nightly-etl"
    path              = "nightly-etl/"
    secrets           = { "operational url" = "x" }
    plain             = { "operational/url" = "x" }
    kms_key_arn       = "alias/etl"
    kms_key_alias     = "nightly-etl"
    kms_deletion_days = 1
  }

  expect_failures = [
    var.path,
    var.secrets,
    var.plain,
    var.kms_key_arn,
    var.kms_key_alias,
    var.kms_deletion_days,
  ]
}

run "settings_bad_values_second" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name           = "nightly-etl"
    path           = "/nightly-etl"
    secrets        = { "operational/url" = "The source." }
    create_kms_key = false
    plain          = { tables = "" }
    kms_key_arn    = null
  }

  expect_failures = [
    var.plain,
    var.kms_key_arn,
  ]
}

run "function_bad_values_first" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    name            = "a b"
    description     = "Plans"
    image           = null
    architecture    = "riscv"
    timeout_seconds = 901
    memory_mb       = 64
  }

  expect_failures = [
    var.name,
    var.image,
    var.architecture,
    var.timeout_seconds,
    var.memory_mb,
  ]
}

run "function_bad_values_second" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    name        = "nightly-etl-plan"
    description = "Plans"
    image       = null
    zip         = "tests/no.zip"
  }

  expect_failures = [
    var.zip,
  ]
}

run "batch_bad_values_first" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    name                 = "nightly-etl"
    image                = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements           = []
    subnet_ids           = ["subnet-0a"]
    security_group_ids   = ["sg-0a"]
    platform             = "eks"
    max_vcpus            = 0
    architecture         = "riscv"
    ephemeral_storage_gb = 20
    attempts             = 11
    timeout_seconds      = 59
    runnable_minutes     = 9
  }

  expect_failures = [
    var.platform,
    var.max_vcpus,
    var.architecture,
    var.ephemeral_storage_gb,
    var.attempts,
    var.timeout_seconds,
    var.runnable_minutes,
  ]
}

run "batch_bad_values_second" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    memory_mb          = 9000
    instance_types     = ["m5", "m7g"]
  }

  expect_failures = [
    var.memory_mb,
    var.instance_types,
  ]
}

run "batch_bad_values_third" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    vcpu               = 1.5
  }

  expect_failures = [
    var.vcpu,
  ]
}

run "fargate_bad_values_first" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    create_cluster              = false
    name                        = "nightly-etl"
    image                       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements                  = []
    subnet_ids                  = ["subnet-0a"]
    security_group_ids          = ["sg-0a"]
    topic_arn                   = "arn:aws:sns:eu-central-1:123456789012:t"
    memory_mb                   = 8192
    cluster_arn                 = "default"
    vcpu                        = 3
    architecture                = "riscv"
    ephemeral_storage_gb        = 201
    extra_container_definitions = [{ name = "etl" }]
    schedule                    = { expression = "nightly" }
  }

  expect_failures = [
    var.cluster_arn,
    var.vcpu,
    var.architecture,
    var.ephemeral_storage_gb,
    var.extra_container_definitions,
    var.schedule,
  ]
}

run "fargate_bad_values_second" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    create_cluster     = false
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    schedule           = { expression = "rate(1 day)", flexible_minutes = 2000 }
    memory_mb          = 1024
    topic_arn          = "arn:aws:sns:eu-central-1:123456789012:t"
  }

  expect_failures = [
    var.cluster_arn,
    var.schedule,
    var.memory_mb,
  ]
}

run "fargate_bad_values_third" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    schedule           = { expression = "rate(1 day)" }
    topic_arn          = null
  }

  expect_failures = [
    var.topic_arn,
  ]
}

run "fargate_bad_values_fourth" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    schedule           = { expression = "cron(15 2,12 * * ? *)", timezone = "Europe/Berlin" }
    topic_arn          = "arn:aws:sns:eu-central-1:123456789012:t"
  }

  expect_failures = [
    var.schedule,
  ]
}

run "fargate_bad_values_fifth" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    schedule           = { expression = "rate(1 day)", timezone = "+01:00" }
    topic_arn          = "arn:aws:sns:eu-central-1:123456789012:t"
  }

  expect_failures = [
    var.schedule,
  ]
}

run "codebuild_bad_values_first" {
  command = plan

  module {
    source = "./modules/codebuild"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    vpc_id             = "vpc-0a"
    source_code        = { type = "FTP", location = "x" }
    compute_type       = "SMALL"
    architecture       = "riscv"
    timeout_minutes    = 1
  }

  expect_failures = [
    var.source_code,
    var.compute_type,
    var.architecture,
    var.timeout_minutes,
  ]
}

run "batch_bad_container" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    create_job_role    = false
    job_role_arn       = "etl"
    volumes            = { certificates = { path = "rds" } }
    container_secrets  = { AGENT_KEY = "secret" }
  }

  expect_failures = [
    var.job_role_arn,
    var.volumes,
    var.container_secrets,
  ]
}

run "batch_bad_container_second" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    job_role_arn       = "arn:aws:iam::123456789012:role/etl"
    environment        = { AGENT_KEY = "x" }
    container_secrets  = { AGENT_KEY = "arn:aws:ssm:eu-central-1:123456789012:parameter/agent" }
  }

  expect_failures = [
    var.job_role_arn,
    var.container_secrets,
  ]
}

run "fargate_bad_container" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    create_job_role    = false
    job_role_arn       = "etl"
    volumes            = { certificates = { path = "rds" } }
    container_secrets  = { AGENT_KEY = "secret" }
  }

  expect_failures = [
    var.job_role_arn,
    var.volumes,
    var.container_secrets,
  ]
}

run "fargate_bad_container_second" {
  command = plan

  module {
    source = "./modules/fargate"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    job_role_arn       = "arn:aws:iam::123456789012:role/etl"
    environment        = { AGENT_KEY = "x" }
    container_secrets  = { AGENT_KEY = "arn:aws:ssm:eu-central-1:123456789012:parameter/agent" }
  }

  expect_failures = [
    var.job_role_arn,
    var.container_secrets,
  ]
}

run "codebuild_bad_values_second" {
  command = plan

  module {
    source = "./modules/codebuild"
  }

  variables {
    name               = "nightly-etl"
    image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    statements         = []
    subnet_ids         = ["subnet-0a"]
    security_group_ids = ["sg-0a"]
    vpc_id             = "vpc-0a"
    architecture       = "arm64"
    standard_image     = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
  }

  expect_failures = [
    var.standard_image,
  ]
}

run "scheduler_bad_values" {
  command = plan

  module {
    source = "./modules/scheduler"
  }

  variables {
    name                      = "nightly etl"
    zip                       = "tests/empty.zip"
    state_machine_arn         = "arn:aws:states:eu-central-1:123456789012:stateMachine:nightly-etl:1"
    topic_arn                 = "failures"
    notify_topics             = ["*"]
    notify_topic_kms_key_arns = ["alias/etl"]
    at_once                   = 0
    runner_concurrency        = 1
    late_minutes              = 1
    kms_key_arn               = "alias/etl"
  }

  expect_failures = [
    var.name,
    var.state_machine_arn,
    var.topic_arn,
    var.notify_topics,
    var.notify_topic_kms_key_arns,
    var.at_once,
    var.runner_concurrency,
    var.late_minutes,
    var.kms_key_arn,
  ]
}

run "scheduler_alone" {
  command = plan

  module {
    source = "./modules/scheduler"
  }

  variables {
    name              = "nightly-etl"
    zip               = "tests/empty.zip"
    state_machine_arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:nightly-etl"
    topic_arn         = "arn:aws:sns:eu-central-1:123456789012:nightly-etl"
  }

  assert {
    condition     = aws_dynamodb_table.jobs.deletion_protection_enabled && aws_dynamodb_table.jobs.point_in_time_recovery[0].enabled
    error_message = "The table must be protected, and have backups, unless somebody says otherwise."
  }

  assert {
    condition     = length(aws_dynamodb_table.jobs.server_side_encryption) == 0 && length(local.key_statements) == 0
    error_message = "Without a key of the user's, DynamoDB's own encrypts, and no role needs one."
  }

  assert {
    condition     = !contains(keys(local.environment), "NOTIFIER_FUNCTION") && local.environment.AT_ONCE == "10"
    error_message = "Without a notifier there is none to name; the number of a pool is the default's."
  }

  assert {
    condition     = aws_sqs_queue.due.visibility_timeout_seconds >= 6 * local.runner_seconds
    error_message = "A message must stay invisible for six times the runner's timeout."
  }
}
