# An execution that failed, timed out or was aborted: the notifier tells Slack what the machine could not tell itself, and
# the topic tells whoever subscribed.

locals {
  failed_execution_pattern = {
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      status          = ["FAILED", "TIMED_OUT", "ABORTED"]
      stateMachineArn = local.machine_arns
    }
  }

  topic_arn = var.create_topic ? aws_sns_topic.this[0].arn : var.topic_arn
}

resource "aws_cloudwatch_event_rule" "failed" {
  name          = "${var.name}-failed"
  description   = "An execution of ${var.name} failed, timed out or was aborted"
  event_pattern = jsonencode(local.failed_execution_pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "notifier" {
  rule = aws_cloudwatch_event_rule.failed.name
  arn  = module.notifier.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_lambda_permission" "failed" {
  statement_id  = "FailedExecutions"
  action        = "lambda:InvokeFunction"
  function_name = module.notifier.name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.failed.arn
}

resource "aws_cloudwatch_event_target" "topic" {
  rule = aws_cloudwatch_event_rule.failed.name
  arn  = local.topic_arn

  input_transformer {
    input_paths = {
      execution = "$.detail.executionArn"
      status    = "$.detail.status"
      time      = "$.time"
    }
    input_template = "\"${var.name}: <status> at <time>. The reporting side holds what it held. Execution <execution>, logs in ${local.job_log_group}.\""
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

# An execution that timed out or was aborted could not run its Abort; the ledger hears of it here.
resource "aws_cloudwatch_event_rule" "stopped" {
  name        = "${var.name}-stopped"
  description = "An execution of ${var.name} timed out or was aborted"
  tags        = var.tags

  event_pattern = jsonencode(merge(local.failed_execution_pattern, {
    detail = {
      status          = ["TIMED_OUT", "ABORTED"]
      stateMachineArn = [local.machine_arn]
    }
  }))
}

resource "aws_cloudwatch_event_target" "abort" {
  rule = aws_cloudwatch_event_rule.stopped.name
  arn  = module.image_function["abort"].arn

  input_transformer {
    input_paths = { run_id = "$.detail.name", status = "$.detail.status" }
    # Whose run it is stands in the execution's input, which the event has as a text; so the function takes the event whole.
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    input_template = join("", [
      "{\"run_id\": \"<run_id>\", \"error\": \"the execution is <status>\"",
      local.for_jobs ? ", \"event\": <aws.events.event.json>" : "",
      "}",
    ])
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_lambda_permission" "stopped" {
  statement_id  = "StoppedExecutions"
  action        = "lambda:InvokeFunction"
  function_name = module.image_function["abort"].name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.stopped.arn
}

resource "aws_sns_topic" "this" {
  count = var.create_topic ? 1 : 0

  name              = var.name
  kms_master_key_id = module.settings.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "this" {
  count = var.create_topic ? 1 : 0

  arn = aws_sns_topic.this[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The rule publishes failed executions. EventBridge's guide: no conditions in a topic's policy, they never hold.
      {
        Sid       = "FailedExecutions"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[0].arn
      },
      # This deployment's alarms publish.
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[0].arn
        Condition = {
          ArnLike = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.name}-*" }
        }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = local.topic_arn
  protocol  = "email"
  endpoint  = each.value
}
