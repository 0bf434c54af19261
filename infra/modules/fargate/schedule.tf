# The job alone, every night: schedule -> RunTask. A task that fails, or never starts, reaches the topic.

locals {
  scheduled = var.schedule != null

  # Each time zone, with the hours that its clocks leave out when they are put forward (zones.py).
  zones = jsondecode(file("${path.module}/../../zones.json"))
}

resource "aws_scheduler_schedule" "this" {
  # checkov:skip=CKV_AWS_297: what it holds is a time of day, and names; Scheduler encrypts it with its own key
  count = local.scheduled ? 1 : 0

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
    arn      = local.cluster_arn
    role_arn = aws_iam_role.schedule[0].arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.this.arn
      task_count          = 1
      propagate_tags      = "TASK_DEFINITION"

      capacity_provider_strategy {
        capacity_provider = local.provider
        weight            = 1
      }

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = var.security_group_ids
        assign_public_ip = var.assign_public_ip
      }
    }

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = aws_sqs_queue.undelivered[0].arn
    }
  }
}

resource "aws_iam_role" "schedule" {
  count = local.scheduled ? 1 : 0

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
  count = local.scheduled ? 1 : 0

  name = "schedule"
  role = aws_iam_role.schedule[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.run_statements, [
      # Puts aside what could not be started, where the alarm sees it.
      {
        Sid      = "PutAsideUndelivered"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.undelivered[0].arn]
      },
    ])
  })
}

resource "aws_sqs_queue" "undelivered" {
  count = local.scheduled ? 1 : 0

  name                      = "${var.name}-undelivered"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

# ---- failures

locals {
  # A task that ended with anything but 0, or that never started (capacity, image, roles, network), or whose Spot host
  # went away. Container definitions of yours count too.
  failed_task_pattern = {
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn        = [local.cluster_arn]
      taskDefinitionArn = [{ prefix = "${local.family_arn}:" }]
      lastStatus        = ["STOPPED"]
      "$or" = [
        { containers = { exitCode = [{ anything-but = [0] }] } },
        { stopCode = ["TaskFailedToStart", "SpotInterruption", "TerminationNotice"] },
      ]
    }
  }
}

resource "aws_cloudwatch_event_rule" "failed" {
  count = local.scheduled ? 1 : 0

  name          = "${var.name}-task-failed"
  description   = "The nightly task failed, or never started"
  event_pattern = jsonencode(local.failed_task_pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "failed" {
  count = local.scheduled ? 1 : 0

  rule = aws_cloudwatch_event_rule.failed[0].name
  arn  = var.topic_arn

  input_transformer {
    input_paths = {
      reason = "$.detail.stoppedReason"
      task   = "$.detail.taskArn"
      time   = "$.time"
    }
    input_template = "\"${var.name}: the nightly task failed at <time>: <reason>. Task <task>, logs in ${aws_cloudwatch_log_group.this.name}.\""
  }
}

# What could not even be asked for: RunTask refused until the schedule gave up.
resource "aws_cloudwatch_metric_alarm" "undelivered" {
  count = local.scheduled ? 1 : 0

  alarm_name          = "${var.name}-undelivered"
  alarm_description   = "The schedule could not start the nightly task; the message in the queue ${aws_sqs_queue.undelivered[0].name} says why."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.undelivered[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  tags                = var.tags
}
