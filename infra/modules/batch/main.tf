# AWS Batch: a queue of Spot first and on-demand behind it, one of on-demand alone that goes before it, and the job's
# definition with its roles.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition = data.aws_partition.this.partition
  fargate   = var.platform == "fargate"

  job_role_arn = var.create_job_role ? aws_iam_role.job[0].arn : var.job_role_arn

  # In the order in which the queue asks them.
  kinds = merge(
    var.spot ? { spot = { order = 1, type = local.fargate ? "FARGATE_SPOT" : "SPOT" } } : {},
    { on-demand = { order = 2, type = local.fargate ? "FARGATE" : "EC2" } },
  )

  # Batch's own choice of families: optimal is for x86_64 alone.
  # https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html
  instance_types = coalesce(var.instance_types, [var.architecture == "arm64" ? "default_arm64" : "optimal"])

  # A job that Batch cannot place stays RUNNABLE for ever, and its timeout counts from its start. These are the reasons
  # on which Batch can act. https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
  stuck_reasons = [
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
  ]
}

resource "aws_batch_compute_environment" "this" {
  for_each = local.kinds

  compute_environment_name_prefix = "${var.name}-${each.key}-"
  type                            = "MANAGED"
  tags                            = var.tags
  # No service_role: Batch uses its service-linked role.

  compute_resources {
    type                = each.value.type
    max_vcpus           = var.max_vcpus
    subnets             = var.subnet_ids
    security_group_ids  = var.security_group_ids
    min_vcpus           = local.fargate ? null : 0
    instance_type       = local.fargate ? null : local.instance_types
    instance_role       = local.fargate ? null : aws_iam_instance_profile.host[0].arn
    allocation_strategy = local.fargate ? null : (each.key == "spot" ? "SPOT_PRICE_CAPACITY_OPTIMIZED" : "BEST_FIT_PROGRESSIVE")
    tags                = local.fargate ? null : var.tags

    dynamic "launch_template" {
      for_each = local.fargate ? [] : [aws_launch_template.host[0]]

      content {
        launch_template_id = launch_template.value.id
        version            = "$Latest"
      }
    }
  }

  lifecycle {
    create_before_destroy = true # a queue may not lose its last environment

    # Batch moves it up and down by itself.
    ignore_changes = [compute_resources[0].desired_vcpus]
  }

  depends_on = [aws_iam_role_policy_attachment.host]
}

resource "aws_batch_job_queue" "this" {
  name     = var.name
  state    = "ENABLED"
  priority = 1
  tags     = var.tags

  # Batch goes on to the next environment when one has no capacity, or has reached max_vcpus.
  dynamic "compute_environment_order" {
    for_each = local.kinds

    content {
      order               = compute_environment_order.value.order
      compute_environment = aws_batch_compute_environment.this[compute_environment_order.key].arn
    }
  }

  dynamic "job_state_time_limit_action" {
    for_each = local.stuck_reasons

    content {
      state            = "RUNNABLE"
      reason           = job_state_time_limit_action.value
      max_time_seconds = var.runnable_minutes * 60
      action           = "CANCEL"
    }
  }
}

# For what must not be interrupted, the holder of a run's snapshot: on-demand alone, and before what the other queue wants
# of the environment that both have.
resource "aws_batch_job_queue" "steady" {
  name     = "${var.name}-steady"
  state    = "ENABLED"
  priority = 10
  tags     = var.tags

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.this["on-demand"].arn
  }

  dynamic "job_state_time_limit_action" {
    for_each = local.stuck_reasons

    content {
      state            = "RUNNABLE"
      reason           = job_state_time_limit_action.value
      max_time_seconds = var.runnable_minutes * 60
      action           = "CANCEL"
    }
  }
}

resource "aws_batch_job_definition" "this" {
  name                  = var.name
  type                  = "container"
  platform_capabilities = [local.fargate ? "FARGATE" : "EC2"]
  propagate_tags        = true
  tags                  = var.tags

  timeout {
    attempt_duration_seconds = var.timeout_seconds
  }

  # At most five rules, the first that matches counts. A copy that failed (1), a bad configuration (2) and a container
  # that wants more memory would fail again; what hosts and capacity did (Spot gone, 143 from its SIGTERM, an image that
  # could not be pulled, a network interface that did not come) would not.
  retry_strategy {
    attempts = var.attempts

    evaluate_on_exit {
      action           = "RETRY"
      on_status_reason = "Host EC2*"
    }

    evaluate_on_exit {
      action       = "EXIT"
      on_exit_code = "1"
    }

    evaluate_on_exit {
      action       = "EXIT"
      on_exit_code = "2"
    }

    evaluate_on_exit {
      action    = "EXIT"
      on_reason = "OutOfMemoryError*"
    }

    evaluate_on_exit {
      action    = "RETRY"
      on_reason = "*"
    }
  }

  container_properties = jsonencode(merge(
    {
      image                  = var.image
      command                = var.command
      jobRoleArn             = local.job_role_arn
      executionRoleArn       = aws_iam_role.execution.arn
      readonlyRootFilesystem = true
      environment            = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]

      resourceRequirements = [
        { type = "VCPU", value = tostring(var.vcpu) },
        { type = "MEMORY", value = tostring(var.memory_mb) },
      ]

      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this.name
          awslogs-region        = local.region
          awslogs-stream-prefix = "etl"

          # Said, because ECS's default changed in 2025, and an account may have another. A copy does not stand still, and
          # lose its snapshot, while CloudWatch Logs does not answer: 10 MB hold tens of thousands of lines, and the ledger
          # has the outcome. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html
          mode            = "non-blocking"
          max-buffer-size = "10m"
        }
      }
    },
    { for key, value in {
      fargatePlatformConfiguration = { platformVersion = "LATEST" }
      networkConfiguration         = { assignPublicIp = var.assign_public_ip ? "ENABLED" : "DISABLED" }
      ephemeralStorage             = { sizeInGiB = var.ephemeral_storage_gb }
      runtimePlatform = {
        operatingSystemFamily = "LINUX"
        cpuArchitecture       = upper(var.architecture)
      }
    } : key => value if local.fargate },
    { for key, value in {
      secrets     = [for name in sort(keys(var.container_secrets)) : { name = name, valueFrom = var.container_secrets[name] }]
      mountPoints = [for name, volume in var.volumes : { sourceVolume = name, containerPath = volume.path, readOnly = volume.read_only }]
      volumes = [for name, volume in var.volumes : merge({ name = name }, {
        for key, value in { efsVolumeConfiguration = {
          fileSystemId        = try(volume.efs.file_system_id, null)
          transitEncryption   = "ENABLED"
          authorizationConfig = { accessPointId = try(volume.efs.access_point_id, null), iam = "ENABLED" }
        } } : key => value if volume.efs != null
      })]
    } : key => value if length(value) > 0 },
  ))
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338: how long lines are kept is the user's to say; the ledger keeps the runs
  name              = "/${var.name}/job"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

# ---- the job's roles

resource "aws_iam_role" "job" {
  count = var.create_job_role ? 1 : 0

  name                 = "${var.name}-job"
  description          = "What the copy itself may do"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.tasks_assume
  tags                 = var.tags
}

resource "aws_iam_role_policy" "job" {
  count = var.create_job_role ? 1 : 0

  name   = "job"
  role   = aws_iam_role.job[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = var.statements })
}

resource "aws_iam_role" "execution" {
  name                 = "${var.name}-execution"
  description          = "What ECS may do to start the job's container"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.tasks_assume
  tags                 = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(local.log_statements, local.secret_statements, var.pull_statements) })
}

locals {
  tasks_assume = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # ECS takes the role for this account's tasks, and in nobody else's name.
      {
        Sid       = "TasksOfThisAccount"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "ecs-tasks.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account}:*" }
        }
      },
    ]
  })

  # ARNs of keys within a secret (…:password::) are of the secret.
  secret_arns = {
    for service in ["secretsmanager", "ssm"] : service => distinct([
      for arn in values(var.container_secrets) : join(":", slice(split(":", arn), 0, min(7, length(split(":", arn))))) if split(":", arn)[2] == service
    ])
  }

  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
  secret_statements = concat(
    [for statement in [
      # ECS reads the container's secrets before it starts.
      {
        Sid      = "ReadContainerSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = local.secret_arns.secretsmanager
      },
    ] : statement if length(local.secret_arns.secretsmanager) > 0],
    [for statement in [
      # And its parameters.
      {
        Sid      = "ReadContainerParameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameters"]
        Resource = local.secret_arns.ssm
      },
    ] : statement if length(local.secret_arns.ssm) > 0],
    [for statement in [
      # And decrypts them.
      {
        Sid      = "DecryptContainerSecrets"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = var.container_secret_keys
      },
    ] : statement if length(var.container_secret_keys) > 0],
  )

  log_statements = [
    # The container's output, in the job's log group.
    {
      Sid      = "WriteJobLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
    },
  ]

  # ---- what the state machine needs to run a job and wait for it (.sync)
  start_statements = [
    # Starts the job: this definition (each revision, for a deployment may come between two nights), on these queues.
    {
      Sid    = "SubmitTheJob"
      Effect = "Allow"
      Action = ["batch:SubmitJob"]
      Resource = [
        "arn:${local.partition}:batch:${local.region}:${local.account}:job-definition/${var.name}",
        "arn:${local.partition}:batch:${local.region}:${local.account}:job-definition/${var.name}:*",
        aws_batch_job_queue.this.arn,
        aws_batch_job_queue.steady.arn,
      ]
    },
    # Ends it when the execution is aborted or times out. A job's ARN is not known beforehand.
    {
      Sid      = "TerminateJobs"
      Effect   = "Allow"
      Action   = ["batch:TerminateJob"]
      Resource = ["arn:${local.partition}:batch:${local.region}:${local.account}:job/*"]
    },
    # Asks how it is; the API takes no resource.
    {
      Sid      = "DescribeJobs"
      Effect   = "Allow"
      Action   = ["batch:DescribeJobs"]
      Resource = ["*"]
    },
    # .sync hears of the job's end through a rule that Step Functions makes, and manages, in this account.
    {
      Sid      = "ManagedRuleForJobs"
      Effect   = "Allow"
      Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
      Resource = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventsForBatchJobsRule"]
    },
  ]
}

# ---- hosts, where the platform is EC2

resource "aws_iam_role" "host" {
  count = local.fargate ? 0 : 1

  name                 = "${var.name}-host"
  description          = "What the ECS agent on Batch's instances may do"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The instances themselves.
      {
        Sid       = "Instances"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "ec2.amazonaws.com" }
      },
    ]
  })
}

# AWS's own policy for the agent: Batch makes the ECS cluster under a name that is not known beforehand.
resource "aws_iam_role_policy_attachment" "host" {
  count = local.fargate ? 0 : 1

  role       = aws_iam_role.host[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "host" {
  count = local.fargate ? 0 : 1

  name = "${var.name}-host"
  role = aws_iam_role.host[0].name
  tags = var.tags
}

resource "aws_launch_template" "host" {
  count = local.fargate ? 0 : 1

  name_prefix = "${var.name}-"
  tags        = var.tags

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1 # the containers have a role of their own, and no business with the host's
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted   = true
      volume_type = "gp3"
      volume_size = 30
    }
  }
}
