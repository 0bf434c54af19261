# The three functions: one zip, three handlers. None is in the VPC, for none speaks to a database.

locals {
  environment = merge(
    {
      DEPLOYMENT        = var.name
      JOBS_TABLE        = aws_dynamodb_table.jobs.name
      QUEUE_URL         = aws_sqs_queue.due.url
      STATE_MACHINE_ARN = var.state_machine_arn
      AT_ONCE           = tostring(var.at_once)
    },
    var.notifier_function_name == null ? {} : { NOTIFIER_FUNCTION = var.notifier_function_name },
  )

  key_statements = [for statement in [
    # The table's key, through DynamoDB and in no other way: what AWS's own library (CDK) grants a table's readers and
    # writers.
    {
      Sid    = "UseTheTablesKey"
      Effect = "Allow"
      Action = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ]
      Resource  = [var.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${local.region}.amazonaws.com" } }
    },
  ] : statement if var.kms_key_arn != null]

  put_aside_statements = [
    # Puts aside an event of EventBridge, which does not wait, when it could not be handled.
    {
      Sid      = "PutAsideUndelivered"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [aws_sqs_queue.undelivered.arn]
    },
  ]

  send_statements = [
    # Sends a due time: the tick a new one, the runner one that has to wait for its pool.
    {
      Sid      = "SendDueTimes"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [aws_sqs_queue.due.arn]
    },
  ]

  table_statements = [
    # Reads jobs and runs, and writes what became of them; places in pools, too. A transaction of updates needs UpdateItem,
    # and no action of its own: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    {
      Sid      = "WriteWhatBecameOfJobs"
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      Resource = [aws_dynamodb_table.jobs.arn]
    },
  ]

  look_statements = [
    # Looks whether an execution is still running: one that holds a place in a pool, or whose end nobody has told.
    {
      Sid      = "LookAtTheRuns"
      Effect   = "Allow"
      Action   = ["states:DescribeExecution"]
      Resource = [local.executions]
    },
  ]

  ask_statements = [
    # Asks the index: what is due, and whose end nobody has told.
    {
      Sid      = "AskTheIndex"
      Effect   = "Allow"
      Action   = ["dynamodb:Query"]
      Resource = ["${aws_dynamodb_table.jobs.arn}/index/due"]
    },
  ]

  tell_statements = concat(
    [for statement in [
      # Tells Slack, through the nightly deployment's notifier, that a job is paused.
      {
        Sid      = "TellTheNotifier"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [local.notifier]
      },
    ] : statement if var.notifier_function_name != null],
    [for statement in [
      # Tells the topics that jobs name; those alone that the deployment allows.
      {
        Sid      = "TellTheTopicsOfJobs"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [for topic in var.notify_topics : "arn:${local.partition}:sns:${local.region}:${local.account}:${topic}"]
      },
    ] : statement if length(var.notify_topics) > 0],
    [for statement in [
      # Publishes to a topic that is encrypted with such a key, and uses it for nothing else.
      # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
      {
        Sid       = "EncryptForTheTopicsOfJobs"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.notify_topic_kms_key_arns
        Condition = { StringEquals = { "kms:ViaService" = "sns.${local.region}.amazonaws.com" } }
      },
    ] : statement if length(var.notify_topic_kms_key_arns) > 0],
  )
}

module "tick" {
  source = "../function"

  name                 = "${local.name}-tick"
  description          = "Each minute: sends what is due, and moves those jobs on"
  zip                  = var.zip
  handler              = "scheduler.tick.handler"
  architecture         = var.architecture
  environment          = local.environment
  timeout_seconds      = 60 # the next one begins then
  memory_mb            = var.tick_memory_mb
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = var.log_kms_key_arn
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  statements = concat(local.ask_statements, local.send_statements, local.put_aside_statements, local.key_statements, [
    # Moves jobs on to their next due time. It reads none but by the index.
    {
      Sid      = "MoveJobsOn"
      Effect   = "Allow"
      Action   = ["dynamodb:UpdateItem"]
      Resource = [aws_dynamodb_table.jobs.arn]
    },
  ])
}

module "runner" {
  source = "../function"

  name                 = "${local.name}-runner"
  description          = "Starts the nightly state machine for a job that is due"
  zip                  = var.zip
  handler              = "scheduler.runner.handler"
  architecture         = var.architecture
  environment          = local.environment
  timeout_seconds      = local.runner_seconds
  memory_mb            = 512
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = var.log_kms_key_arn
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  statements = concat(local.table_statements, local.look_statements, local.send_statements, local.key_statements, [
    # Lambda takes the messages in the function's name:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    {
      Sid      = "TakeDueTimes"
      Effect   = "Allow"
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      Resource = [aws_sqs_queue.due.arn]
    },
    # Starts this machine and no other.
    {
      Sid      = "StartTheRun"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = [var.state_machine_arn]
    },
  ])
}

module "ended" {
  source = "../function"

  name                 = "${local.name}-ended"
  description          = "Writes how a job's execution ended, frees its places, and tells of it"
  zip                  = var.zip
  handler              = "scheduler.ended.handler"
  architecture         = var.architecture
  environment          = local.environment
  timeout_seconds      = 60
  memory_mb            = 512
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = var.log_kms_key_arn
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  statements = concat(
    local.table_statements,
    local.ask_statements,
    local.look_statements,
    local.tell_statements,
    local.put_aside_statements,
    local.key_statements,
  )
}

# Ten messages a call, side by side, as soon as they are there: to wait for a full batch would be to start late. A call
# says which of its messages failed, and only those come again. So many calls at once, at most: Step Functions accepts a
# few hundred starts a second.
resource "aws_lambda_event_source_mapping" "runner" {
  event_source_arn                   = aws_sqs_queue.due.arn
  function_name                      = module.runner.arn
  batch_size                         = 10
  maximum_batching_window_in_seconds = 0
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = var.tags

  scaling_config {
    maximum_concurrency = var.runner_concurrency
  }
}
