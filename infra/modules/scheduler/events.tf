# What calls the tick and the ended: three rules on EventBridge's default bus. Both are called without waiting for the answer; what
# could not be delivered, or not be handled, is put aside, where an alarm sees it.

resource "aws_cloudwatch_event_rule" "tick" {
  name                = "${local.name}-tick"
  description         = "Each minute, as it begins"
  schedule_expression = "cron(* * * * ? *)" # rate(1 minute) would begin anywhere in the minute
  tags                = var.tags
}

# A tick that could not be delivered for a minute is worth nothing: the next one does its work.
resource "aws_cloudwatch_event_target" "tick" {
  rule = aws_cloudwatch_event_rule.tick.name
  arn  = module.tick.arn

  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 3
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_lambda_permission" "tick" {
  statement_id  = "EachMinute"
  action        = "lambda:InvokeFunction"
  function_name = module.tick.name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.tick.arn
}

# One that fails is called once more, a minute later, beside the next one: a service that did not answer for a moment puts
# nothing aside. Two ticks at once do no harm, for a job is moved on by one of them, and started once.
resource "aws_lambda_function_event_invoke_config" "tick" {
  function_name                = module.tick.name
  maximum_event_age_in_seconds = 180
  maximum_retry_attempts       = 1

  destination_config {
    on_failure {
      destination = aws_sqs_queue.undelivered.arn
    }
  }
}

resource "aws_cloudwatch_event_rule" "ended" {
  name        = "${local.name}-ended"
  description = "An execution of the nightly state machine has ended"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      status          = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
      stateMachineArn = [var.state_machine_arn]
    }
  })
}

# Step Functions sends events as well as it can, so the ended looks for ends that nobody has told.
resource "aws_cloudwatch_event_rule" "look" {
  name                = "${local.name}-look"
  description         = "Each ten minutes: executions whose end nobody has told"
  schedule_expression = "cron(0/10 * * * ? *)"
  tags                = var.tags
}

locals {
  ended_rules = {
    ended = { name = aws_cloudwatch_event_rule.ended.name, arn = aws_cloudwatch_event_rule.ended.arn }
    look  = { name = aws_cloudwatch_event_rule.look.name, arn = aws_cloudwatch_event_rule.look.arn }
  }
}

resource "aws_cloudwatch_event_target" "ended" {
  for_each = local.ended_rules

  rule = each.value.name
  arn  = module.ended.arn

  retry_policy {
    maximum_event_age_in_seconds = 21600
    maximum_retry_attempts       = 20
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_lambda_permission" "ended" {
  for_each = local.ended_rules

  statement_id  = "Rule-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = module.ended.name
  principal     = "events.amazonaws.com"
  source_arn    = each.value.arn
}

resource "aws_lambda_function_event_invoke_config" "ended" {
  function_name          = module.ended.name
  maximum_retry_attempts = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.undelivered.arn
    }
  }
}
