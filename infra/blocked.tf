# A job of Batch that cannot start: no capacity, a size that no host has, roles or networks that are wrong. Batch says so by
# an event, and the topic hears of it hours before the run is out of time.
# https://docs.aws.amazon.com/batch/latest/userguide/batch-job-queue-blocked-events.html

locals {
  queue_arns = flatten([for batch in module.batch : [batch.queue_arn, batch.steady_queue_arn]])
}

resource "aws_cloudwatch_event_rule" "blocked" {
  count = var.compute == "batch" ? 1 : 0

  name        = "${var.name}-blocked"
  description = "A job queue of ${var.name} is blocked by a job that cannot start"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.batch"]
    detail-type = ["Batch Job Queue Blocked"]
    detail      = { jobQueue = local.queue_arns }
  })
}

resource "aws_cloudwatch_event_target" "blocked" {
  count = var.compute == "batch" ? 1 : 0

  rule = aws_cloudwatch_event_rule.blocked[0].name
  arn  = local.topic_arn

  input_transformer {
    input_paths = {
      job    = "$.detail.jobName"
      queue  = "$.detail.jobQueue"
      reason = "$.detail.statusReason"
      time   = "$.time"
    }
    input_template = "\"${var.name}: the job <job> cannot start since <time>, and blocks the queue <queue>: <reason>\""
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}
