# Many copies, each on its schedule: a table of jobs, a tick each minute, a queue that delivers each due time to the second,
# and what starts the nightly state machine for it. The functions' code is scheduler/; a state machine serves all jobs.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition = data.aws_partition.this.partition

  name       = "${var.name}-jobs"
  executions = "${replace(var.state_machine_arn, ":stateMachine:", ":execution:")}:*"
  notifier   = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${coalesce(var.notifier_function_name, "none")}"

  # Lambda's documentation: a message stays invisible for six times the function's timeout, or more, so that batches that
  # had to wait for a free function are not delivered a second time.
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  runner_seconds = 30
  hidden_seconds = 6 * local.runner_seconds
}

# The jobs, their runs and their pools. scheduler/registry.py and pools.py say what the items are.
resource "aws_dynamodb_table" "jobs" {
  # checkov:skip=CKV_AWS_119: a key of the user's where kms_key_arn is given; otherwise DynamoDB encrypts with its own
  name                        = local.name
  billing_mode                = "PAY_PER_REQUEST" # a job a night costs a few writes; a thousand in one minute need no plan
  hash_key                    = "id"
  range_key                   = "item"
  deletion_protection_enabled = !var.force_destroy
  tags                        = var.tags

  attribute {
    name = "id"
    type = "S"
  }

  attribute {
    name = "item"
    type = "S"
  }

  attribute {
    name = "due_shard"
    type = "S"
  }

  attribute {
    name = "next_run_at"
    type = "N"
  }

  # Only enabled jobs have both attributes, and runs whose end nobody has told yet, so only they are in it; with what a tick
  # needs to send a job and move it on.
  global_secondary_index {
    name               = "due"
    hash_key           = "due_shard"
    range_key          = "next_run_at"
    projection_type    = "INCLUDE"
    non_key_attributes = ["cron", "zone", "catch_up", "window_seconds"]
  }

  # Runs go after ninety days; jobs and pools have no such attribute.
  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  dynamic "server_side_encryption" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }
}

# The due times between the tick and the runner. They name a job and a time, and hold no secret.
resource "aws_sqs_queue" "due" {
  name                       = "${var.name}-due"
  visibility_timeout_seconds = local.hidden_seconds
  message_retention_seconds  = 1209600 # 14 days, the longest; a job's window may have 7, and what the queue loses nobody counts
  sqs_managed_sse_enabled    = true
  tags                       = var.tags

  # Ten times are half an hour of a service that does not answer.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = 10
  })
}

# The due times that the runner failed at each time. The alarm says so; start-message-move-task sends them back.
resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-due-dead"
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.due.arn]
  })
}

# The events that the tick and the ended did not take.
resource "aws_sqs_queue" "undelivered" {
  name                      = "${local.name}-undelivered"
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The rules put aside events that they could not deliver.
      {
        Sid       = "UndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.undelivered.arn
        Condition = { ArnEquals = { "aws:SourceArn" = [aws_cloudwatch_event_rule.tick.arn, aws_cloudwatch_event_rule.ended.arn, aws_cloudwatch_event_rule.look.arn] } }
      },
    ]
  })
}
