# ECS on Fargate: a cluster (made or given), the job's task definition with its roles; and, where a schedule is given, the
# job every night without a state machine (schedule.tf).

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account      = data.aws_caller_identity.this.account_id
  region       = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition    = data.aws_partition.this.partition
  make_cluster = var.create_cluster
  cluster_arn  = local.make_cluster ? aws_ecs_cluster.this[0].arn : var.cluster_arn
  cluster_name = element(split("/", local.cluster_arn), 1)
  family_arn   = "arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/${var.name}"
  provider     = var.spot ? "FARGATE_SPOT" : "FARGATE"

  job_role_arn = var.create_job_role ? aws_iam_role.job[0].arn : var.job_role_arn

  container = merge(local.own_container, { for key, value in {
    secrets     = [for name in sort(keys(var.container_secrets)) : { name = name, valueFrom = var.container_secrets[name] }]
    mountPoints = [for name, volume in var.volumes : { sourceVolume = name, containerPath = volume.path, readOnly = volume.read_only }]
  } : key => value if length(value) > 0 })

  own_container = {
    name                   = "etl"
    image                  = var.image
    command                = var.command
    essential              = true
    readonlyRootFilesystem = true
    stopTimeout            = 120
    environment            = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]
    linuxParameters        = { capabilities = { drop = ["ALL"] }, initProcessEnabled = false }

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
  }
}

resource "aws_ecs_cluster" "this" {
  count = local.make_cluster ? 1 : 0

  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  count = local.make_cluster ? 1 : 0

  cluster_name       = aws_ecs_cluster.this[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.vcpu * 1024
  memory                   = var.memory_mb
  task_role_arn            = local.job_role_arn
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = jsonencode(concat([local.container], var.extra_container_definitions))
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(var.architecture)
  }

  ephemeral_storage {
    size_in_gib = var.ephemeral_storage_gb
  }

  dynamic "volume" {
    for_each = var.volumes

    content {
      name = volume.key

      dynamic "efs_volume_configuration" {
        for_each = volume.value.efs == null ? [] : [volume.value.efs]

        content {
          file_system_id     = efs_volume_configuration.value.file_system_id
          transit_encryption = "ENABLED"

          authorization_config {
            access_point_id = efs_volume_configuration.value.access_point_id
            iam             = "ENABLED"
          }
        }
      }
    }
  }
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

  run_statements = [
    # Starts the task: this family (each revision, for a deployment may come between two nights), in this cluster.
    {
      Sid       = "RunTheTask"
      Effect    = "Allow"
      Action    = ["ecs:RunTask"]
      Resource  = [local.family_arn, "${local.family_arn}:*"]
      Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arn } }
    },
    # Gives the task its two roles, and gives them to nothing but tasks.
    {
      Sid       = "PassTheTasksRoles"
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = [local.job_role_arn, aws_iam_role.execution.arn]
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    },
    # The task's tags come from its definition (PropagateTags), and RunTask with tags asks for the right to tag:
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
    {
      Sid       = "TagTheTask"
      Effect    = "Allow"
      Action    = ["ecs:TagResource"]
      Resource  = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task/${local.cluster_name}/*"]
      Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
    },
  ]

  # ---- what the state machine needs to run a task and wait for it (.sync)
  start_statements = concat(local.run_statements, [
    # Ends it when the execution is aborted or times out, and asks how it is. A task's ARN is not known beforehand.
    {
      Sid      = "StopAndDescribeTasks"
      Effect   = "Allow"
      Action   = ["ecs:StopTask", "ecs:DescribeTasks"]
      Resource = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task/${local.cluster_name}/*"]
    },
    # .sync hears of the task's end through a rule that Step Functions makes, and manages, in this account.
    {
      Sid      = "ManagedRuleForTasks"
      Effect   = "Allow"
      Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
      Resource = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventsForECSTaskRule"]
    },
  ])
}
