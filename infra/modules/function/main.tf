# A Lambda function with its role and its log group: from the job's image or from a zip, inside the VPC or outside.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account      = data.aws_caller_identity.this.account_id
  region       = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition    = data.aws_partition.this.partition
  in_vpc       = length(var.subnet_ids) > 0
  function_arn = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}"

  own_statements = [
    # Its log lines, in its own log group; the group is made here, with retention, and the function cannot make another.
    {
      Sid      = "WriteLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
    },
    # Traces; the API takes no resource.
    {
      Sid      = "WriteTraces"
      Effect   = "Allow"
      Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      Resource = ["*"]
    },
  ]

  vpc_statements = [for statement in [
    # Lambda makes the function's network interfaces in the function's name.
    {
      Sid    = "AttachToVpc"
      Effect = "Allow"
      Action = [
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
      ]
      # Lambda's documentation: it refuses a role whose DeleteNetworkInterface is not on all of the account's resources.
      Resource = ["arn:${local.partition}:ec2:${local.region}:${local.account}:*/*"]
    },
    # And looks them up; the API takes no resource.
    {
      Sid      = "DescribeVpc"
      Effect   = "Allow"
      Action   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:DescribeVpcs"]
      Resource = ["*"]
    },
    # The two above are for Lambda itself; the function's code is not to use them.
    {
      Sid       = "CodeLeavesVpcAlone"
      Effect    = "Deny"
      Action    = ["ec2:*"]
      Resource  = ["*"]
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn } }
    },
  ] : statement if local.in_vpc]
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338: how long lines are kept is the user's to say; the ledger keeps the runs
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name                 = var.name
  description          = "What the function ${var.name} may do"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Lambda takes the role to run the function.
      {
        Sid       = "LambdaRunsTheFunction"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "lambda.amazonaws.com" }
      },
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.own_statements, local.vpc_statements, var.statements)
  })
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_115: the state machine bounds how many run at once; a reservation would take from the account's pool
  # checkov:skip=CKV_AWS_116: callers wait for the answer; those that do not are given a queue where they are made
  # checkov:skip=CKV_AWS_173: the variables hold no secret (validated), and Lambda encrypts them at rest with its own key
  # checkov:skip=CKV_AWS_272: images cannot be signed so; what runs is named by digest, the zips by their hash
  function_name = var.name
  description   = var.description
  role          = aws_iam_role.this.arn
  timeout       = var.timeout_seconds
  memory_size   = var.memory_mb
  architectures = [var.architecture]
  tags          = var.tags

  package_type     = var.image == null ? "Zip" : "Image"
  image_uri        = var.image
  filename         = var.zip
  source_code_hash = var.zip == null ? null : filebase64sha256(var.zip)
  runtime          = var.zip == null ? null : var.runtime
  handler          = var.zip == null ? null : var.handler

  dynamic "image_config" {
    for_each = var.image == null ? [] : [var.image_config]

    content {
      entry_point = image_config.value.entry_point
      command     = image_config.value.command
    }
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [true] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  dynamic "environment" {
    for_each = length(var.environment) > 0 ? [true] : []

    content {
      variables = var.environment
    }
  }

  tracing_config {
    mode = "Active"
  }

  # It may be called as soon as it exists, and must be able to attach to the VPC before.
  depends_on = [aws_iam_role_policy.this]
}
