# The state machines: one definition, with the fragment of the compute kind put into it by Terraform's
# own functions.

locals {
  # By name, so that the functions and the machine's role may know it before the machine exists.
  machine_arn  = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${var.name}"
  deadline_arn = "${local.machine_arn}-deadline"
  machine_arns = concat([local.machine_arn, "${local.machine_arn}-batches"], local.own_night ? [local.deadline_arn] : [])

  transform_arn = var.transform_state_machine_arn == null ? "" : var.transform_state_machine_arn

  definitions = coalesce(var.definitions_path, "${path.module}/definitions")

  # As deployed; a start by hand may say otherwise. An inline Map runs 40 at once at most:
  # https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html
  shards_planned = try(tonumber(var.shards), length(var.shards), 1)
  shards_at_once = min(local.shards_planned, var.max_concurrency == 0 ? 40 : var.max_concurrency)

  names = {
    Partition = local.partition
    # JSONata within a JSON string: its texts are in single quotes.
    Shards                = replace(jsonencode(var.shards), "\"", "'")
    MaxConcurrency        = tostring(var.max_concurrency)
    LoadTimeoutSeconds    = tostring(var.load_timeout_seconds)
    TransformStateMachine = local.transform_arn
    BatchRows             = tostring(var.batch_rows)
    PlanFunction          = module.image_function["plan"].arn
    PublishFunction       = module.image_function["publish"].arn
    AbortFunction         = module.image_function["abort"].arn
    ReportFunction        = module.image_function["report"].arn
    CopyBatchFunction     = module.image_function["copy_batch"].arn
    NotifierFunction      = module.notifier.arn
  }

  # What only one kind of compute has. The holder of the snapshot is not put on Spot: without it the night is lost.
  compute_names = merge(
    { for batch in module.batch : "JobQueue" => "{% $command = 'snapshot' ? '${batch.steady_queue_arn}' : '${batch.queue_arn}' %}" },
    { for batch in module.batch : "JobDefinition" => batch.job_definition_arn },
    { for fargate in module.fargate : "Cluster" => fargate.cluster_arn },
    { for fargate in module.fargate : "TaskDefinition" => fargate.task_definition_arn },
    { for codebuild in module.codebuild : "Project" => codebuild.project_name },
    {
      Container       = "etl"
      LogStreamPrefix = "etl"
      Subnets         = join(",", var.subnet_ids)
      SecurityGroups  = join(",", local.security_group_ids)
      AssignPublicIp  = var.assign_public_ip ? "ENABLED" : "DISABLED"
    },
  )

  fragment_file = { batch = "batch", fargate = "ecs", codebuild = "codebuild" }[var.compute]
  fragment      = jsondecode(templatefile("${local.definitions}/compute/${local.fragment_file}.json", merge(local.names, local.compute_names)))

  # On Spot the task asks for a capacity provider, which excludes a launch type.
  on_spot = var.compute == "fargate" && var.fargate.spot
  arguments = merge(
    { for key, value in local.fragment.Arguments : key => value if !(local.on_spot && key == "LaunchType") },
    { for key, value in { CapacityProviderStrategy = [{ CapacityProvider = "{% $command = 'snapshot' ? 'FARGATE' : 'FARGATE_SPOT' %}", Weight = 1 }] } : key => value if local.on_spot },
  )

  # Expressions that are too long for one line of JSON.
  expressions = {
    ComputeReason     = templatefile("${local.definitions}/compute/reason.jsonata", local.fragment.Reason)
    ShardsFailedCause = templatefile("${local.definitions}/shards-failed.jsonata", {})
    ExecutionInput    = templatefile("${local.definitions}/execution-input.jsonata", { JobsPath = local.jobs_path })
  }

  # Each stands in quotes; what takes the place of both is a value in JSON.
  in_quotes = merge(
    { ComputeArguments = jsonencode(local.arguments) },
    { for name, text in local.expressions : name => jsonencode("{% ${replace(trimspace(text), "/\\s+/", " ")} %}") },
  )
  template_names = merge(local.names, { for name, value in local.in_quotes : name => name }, { ComputeResource = local.fragment.Resource })
  template       = templatefile("${local.definitions}/nightly.asl.json", local.template_names)
  definition = replace(replace(replace(replace(
    local.template,
    "\"ComputeArguments\"", local.in_quotes.ComputeArguments),
    "\"ComputeReason\"", local.in_quotes.ComputeReason),
    "\"ShardsFailedCause\"", local.in_quotes.ShardsFailedCause),
    "\"ExecutionInput\"", local.in_quotes.ExecutionInput,
  )
}

resource "aws_sfn_state_machine" "nightly" {
  name       = var.name
  role_arn   = aws_iam_role.machine.arn
  definition = jsonencode(jsondecode(local.definition))
  tags       = var.tags

  logging_configuration {
    level                  = "ALL"
    include_execution_data = true # names of tables and runs; no secret passes through the machine
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_sfn_state_machine" "batches" {
  name       = "${var.name}-batches"
  role_arn   = aws_iam_role.machine.arn
  definition = jsonencode(jsondecode(templatefile("${local.definitions}/batches.asl.json", local.names)))
  tags       = var.tags

  logging_configuration {
    level                  = "ALL"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}

# The name's beginning keeps the log group out of the resource policy's size limit, which all such groups share.
resource "aws_cloudwatch_log_group" "machine" {
  # checkov:skip=CKV_AWS_338: how long lines are kept is the user's to say; the ledger keeps the runs
  name              = "/aws/vendedlogs/states/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.log_key
  tags              = var.tags
}

resource "aws_iam_role" "machine" {
  name                 = "${var.name}-machine"
  description          = "What the state machines may do"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Step Functions takes the role for these two machines, and for no others.
      {
        Sid       = "TheseMachines"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "states.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = [local.machine_arn, "${local.machine_arn}-batches"] }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "machine" {
  name   = "machine"
  role   = aws_iam_role.machine.id
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(local.machine_statements, local.start_statements, local.transform_statements) })
}

locals {
  machine_statements = [
    # The functions that the two definitions name.
    {
      Sid      = "InvokeFunctions"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = concat([for function in module.image_function : function.arn], [module.notifier.arn])
    },
    # Step Functions delivers its log as CloudWatch's vended logs; these APIs take no resource.
    {
      Sid    = "DeliverLogs"
      Effect = "Allow"
      Action = [
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
      ]
      Resource = ["*"]
    },
    # Traces; these APIs take no resource.
    {
      Sid      = "WriteTraces"
      Effect   = "Allow"
      Action   = ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      Resource = ["*"]
    },
  ]

  transform_statements = [for statement in [
    # What comes after the publish, in a state machine of yours.
    {
      Sid      = "StartTransform"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = [local.transform_arn]
    },
    # .sync asks how its execution is, and stops it when this one is aborted.
    {
      Sid      = "WaitForTransform"
      Effect   = "Allow"
      Action   = ["states:DescribeExecution", "states:StopExecution"]
      Resource = ["${replace(local.transform_arn, ":stateMachine:", ":execution:")}:*"]
    },
    # .sync hears of the execution's end through a rule that Step Functions makes, and manages, in this account.
    {
      Sid      = "ManagedRuleForExecutions"
      Effect   = "Allow"
      Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
      Resource = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"]
    },
  ] : statement if local.transform_arn != ""]
}
