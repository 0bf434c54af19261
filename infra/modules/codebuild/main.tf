# CodeBuild: a project in the VPC that runs the job's image without a source, or the repository's buildspec.yml.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account    = data.aws_caller_identity.this.account_id
  region     = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition  = data.aws_partition.this.partition
  from_image = var.source_code == null
  # https://docs.aws.amazon.com/codebuild/latest/userguide/ec2-compute-images.html
  standard_image = coalesce(var.standard_image, "aws/codebuild/amazonlinux-${var.architecture == "arm64" ? "aarch64-standard:3.0" : "x86_64-standard:5.0"}")
  project_arn    = "arn:${local.partition}:codebuild:${local.region}:${local.account}:project/${var.name}"
}

resource "aws_codebuild_project" "this" {
  name                   = var.name
  description            = "The nightly copy"
  service_role           = aws_iam_role.job.arn
  build_timeout          = var.timeout_minutes
  queued_timeout         = 60
  concurrent_build_limit = var.concurrent_builds
  source_version         = local.from_image ? null : var.source_code.version
  encryption_key         = var.kms_key_arn
  tags                   = var.tags

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type                        = var.architecture == "arm64" ? "ARM_CONTAINER" : "LINUX_CONTAINER"
    compute_type                = var.compute_type
    image                       = local.from_image ? var.image : local.standard_image
    image_pull_credentials_type = local.from_image ? "SERVICE_ROLE" : "CODEBUILD"
    privileged_mode             = false

    dynamic "environment_variable" {
      for_each = var.environment

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }

  source {
    type                = local.from_image ? "NO_SOURCE" : var.source_code.type
    location            = local.from_image ? null : var.source_code.location
    git_clone_depth     = local.from_image || try(var.source_code.type, "") == "S3" ? null : 1
    report_build_status = false
    buildspec           = local.from_image ? yamlencode({ version = 0.2, phases = { build = { commands = [var.command] } } }) : var.source_code.buildspec
  }

  vpc_config {
    vpc_id             = var.vpc_id
    subnets            = var.subnet_ids
    security_group_ids = var.security_group_ids
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.this.name
    }
  }

  # CodeBuild tries the role when the project is made.
  depends_on = [aws_iam_role_policy.job]
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338: how long lines are kept is the user's to say; the ledger keeps the runs
  name              = "/${var.name}/job"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "job" {
  name                 = "${var.name}-job"
  description          = "What the build, and the copy in it, may do"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # CodeBuild takes the role for this project, and for no other.
      {
        Sid       = "BuildsOfThisProject"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "codebuild.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceArn" = local.project_arn } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "job" {
  name   = "job"
  role   = aws_iam_role.job.id
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(local.build_statements, local.fetch_statements, var.statements) })
}

locals {
  fetch_statements = concat(
    [for statement in var.pull_statements : statement if local.from_image],
    [for statement in var.source_statements : statement if !local.from_image],
  )

  build_statements = [
    # The build's output, in the job's log group.
    {
      Sid      = "WriteJobLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
    },
    # CodeBuild makes the build's network interface in the project's name, in these subnets with these groups.
    {
      Sid    = "AttachToVpc"
      Effect = "Allow"
      Action = ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"]
      Resource = concat(
        ["arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*"],
        [for id in var.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:subnet/${id}"],
        [for id in var.security_group_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:security-group/${id}"],
      )
    },
    # And hands it over to CodeBuild, to nobody else.
    {
      Sid      = "HandInterfaceToCodeBuild"
      Effect   = "Allow"
      Action   = ["ec2:CreateNetworkInterfacePermission"]
      Resource = ["arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*"]
      Condition = {
        StringEquals = { "ec2:AuthorizedService" = "codebuild.amazonaws.com" }
        ArnEquals = {
          "ec2:Subnet" = [for id in var.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:subnet/${id}"]
        }
      }
    },
    # And looks the network up; the API takes no resource.
    {
      Sid    = "DescribeVpc"
      Effect = "Allow"
      Action = [
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
      ]
      Resource = ["*"]
    },
  ]

  # ---- what the state machine needs to run a build and wait for it (.sync)
  start_statements = [
    # Starts the build, asks how it is, ends it when the execution is aborted or times out.
    {
      Sid      = "RunTheBuild"
      Effect   = "Allow"
      Action   = ["codebuild:StartBuild", "codebuild:StopBuild", "codebuild:BatchGetBuilds"]
      Resource = [local.project_arn]
    },
    # .sync hears of the build's end through a rule that Step Functions makes, and manages, in this account.
    {
      Sid      = "ManagedRuleForBuilds"
      Effect   = "Allow"
      Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
      Resource = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventForCodeBuildStartBuildRule"]
    },
  ]
}
