# Every night: schedule -> starter -> the run of that date. The starter makes it one run a date, however often it is called.

locals {
  # Each time zone, with the hours that its clocks leave out when they are put forward (zones.py).
  zones = jsondecode(file("${path.module}/zones.json"))

  once_a_day = [
    "^cron\\([0-5]?[0-9] ([01]?[0-9]|2[0-3]) ([^ ?]+ [^ ]+ \\?|\\? [^ ]+ [^ ?]+) [^ ]+\\)$",
    "^rate\\([1-9][0-9]* days?\\)$",
    "^at\\([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\)$",
  ]
}

resource "aws_scheduler_schedule" "nightly" {
  # checkov:skip=CKV_AWS_297: what it holds is a time of day, and names; Scheduler encrypts it with its own key
  count = local.own_night ? 1 : 0

  name                         = var.name
  description                  = "Starts the nightly copy"
  schedule_expression          = var.schedule.expression
  schedule_expression_timezone = var.schedule.timezone
  state                        = var.schedule.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode                      = var.schedule.flexible_minutes > 0 ? "FLEXIBLE" : "OFF"
    maximum_window_in_minutes = var.schedule.flexible_minutes > 0 ? var.schedule.flexible_minutes : null
  }

  target {
    arn      = module.starter[0].arn
    role_arn = aws_iam_role.schedule[0].arn
    # The time for which it was scheduled, so that a start that was delayed past midnight is still that day's run.
    # Written out, because jsonencode() would escape the < and > of Scheduler's own placeholder.
    input = "{\"detail-type\": \"Scheduled Event\", \"time\": \"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      maximum_event_age_in_seconds = 7200
      maximum_retry_attempts       = 20
    }

    dead_letter_config {
      arn = aws_sqs_queue.undelivered.arn
    }
  }
}

resource "aws_iam_role" "schedule" {
  count = local.own_night ? 1 : 0

  name                 = "${var.name}-schedule"
  description          = "What the schedule may do"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Scheduler takes the role for this account's schedules, and in nobody else's name.
      {
        Sid       = "SchedulesOfThisAccount"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "scheduler.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "schedule" {
  count = local.own_night ? 1 : 0

  name = "schedule"
  role = aws_iam_role.schedule[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Begins to watch the night's deadline.
      {
        Sid      = "WatchTheDeadline"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = [local.deadline_arn]
      },
      # Calls the starter.
      {
        Sid      = "CallTheStarter"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [module.starter[0].arn]
      },
      # Puts aside what could not be delivered, where the alarm sees it.
      {
        Sid      = "PutAsideUndelivered"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.undelivered.arn]
      },
    ]
  })
}

resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered"
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The rules put aside events that the notifier, the topic or the abort did not take.
      {
        Sid       = "UndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.undelivered.arn
        Condition = { ArnEquals = { "aws:SourceArn" = concat([aws_cloudwatch_event_rule.failed.arn, aws_cloudwatch_event_rule.stopped.arn], aws_cloudwatch_event_rule.blocked[*].arn) } }
      },
    ]
  })
}
