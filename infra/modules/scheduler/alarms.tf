# What should wake somebody. Each says what to do in its description.

locals {
  late_seconds = var.late_minutes * 60

  queues = {
    dead        = { name = aws_sqs_queue.dead.name, what = "Due times that the runner failed at ten times; their jobs have not run. The lines message.failed of ${module.runner.name} say why. When that is mended: aws sqs start-message-move-task, which sends them back; each is started once, or counted as missed." }
    undelivered = { name = aws_sqs_queue.undelivered.name, what = "A tick failed twice, or an end could not be written. The message says why. The next tick does what one has left, and the look each ten minutes writes a lost end, so the messages may be deleted." }
  }
}

resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each = local.queues

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = "${each.value.what} The queue is ${each.value.name}."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  tags                = var.tags
}

# One tick that fails is no harm, for the next does its work; three of five are.
resource "aws_cloudwatch_metric_alarm" "tick_failed" {
  alarm_name          = "${local.name}-tick-failed"
  alarm_description   = "Three of five ticks failed. The log of ${module.tick.name} says why: the line job.broken names a job that cannot be read, which nightly-jobs put mends; the other jobs go on."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = module.tick.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  tags                = var.tags
}

# The dead man's switch. Each tick that comes to its end writes its metrics; where none does, there is no data. So it goes off
# from OK to INSUFFICIENT_DATA, and is silent before the first tick (infra/alarms.tf, never_started).
resource "aws_cloudwatch_metric_alarm" "no_tick" {
  alarm_name          = "${local.name}-no-tick"
  alarm_description   = "No tick came to its end for five minutes, so no job is started. Look at the rule ${aws_cloudwatch_event_rule.tick.name}, and at the log of ${module.tick.name}. Nothing is lost: the next tick starts from the oldest due time."
  namespace           = "NightlyEtl/Scheduler" # scheduler/log.py
  metric_name         = "due"
  dimensions          = { deployment = var.name }
  statistic           = "SampleCount"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "missing"
  alarm_actions       = [var.topic_arn]
  tags                = var.tags

  insufficient_data_actions = [var.topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "late" {
  alarm_name          = "${local.name}-late"
  alarm_description   = "A job started more than ${var.late_minutes} minutes after it was due. Most often its pool was full: the lines run.waits of ${module.runner.name} name the pool. Give the server more places, or its jobs other times."
  namespace           = "NightlyEtl/Scheduler"
  metric_name         = "late_seconds"
  dimensions          = { deployment = var.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = local.late_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  tags                = var.tags
}

# A job that does not start has no lateness: where nothing takes the messages, their age says so.
resource "aws_cloudwatch_metric_alarm" "stuck" {
  alarm_name          = "${local.name}-stuck"
  alarm_description   = "A due time is in the queue ${aws_sqs_queue.due.name} for more than ${var.late_minutes} minutes. Look at the log of ${module.runner.name}, at its throttles, and at the event source mapping."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.due.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = local.late_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  tags                = var.tags
}
