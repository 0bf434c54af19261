# What tells that a night hangs, or never began: with each night begins a second, small state machine, which waits for the
# deadline and looks. definitions/deadline.asl.json says how.

resource "aws_sfn_state_machine" "deadline" {
  count = local.is_scheduled ? 1 : 0

  name     = "${var.name}-deadline"
  role_arn = aws_iam_role.deadline[0].arn
  tags     = var.tags

  definition = jsonencode(jsondecode(templatefile("${local.definitions}/deadline.asl.json", {
    Partition          = local.partition
    StarterFunction    = module.starter[0].arn
    NotifierFunction   = module.notifier.arn
    ReportFunction     = module.image_function["report"].arn
    PublishedByMinutes = tostring(var.published_by_minutes)
  })))

  logging_configuration {
    level                  = "ALL"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.deadline]
}

# The night's own expression, but by itself: it sees a starter that cannot be called, too.
resource "aws_scheduler_schedule" "deadline" {
  # checkov:skip=CKV_AWS_297: what it holds is a time of day, and names; Scheduler encrypts it with its own key
  count = local.is_scheduled ? 1 : 0

  name                         = "${var.name}-deadline"
  description                  = "Watches the deadline of the nightly copy"
  schedule_expression          = var.schedule.expression
  schedule_expression_timezone = var.schedule.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = local.deadline_arn
    role_arn = aws_iam_role.schedule[0].arn
    # Written out, because jsonencode() would escape the < and > of Scheduler's own placeholder.
    input = "{\"time\": \"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      maximum_event_age_in_seconds = 7200
      maximum_retry_attempts       = 20
    }

    dead_letter_config {
      arn = aws_sqs_queue.undelivered.arn
    }
  }

  depends_on = [aws_sfn_state_machine.deadline]
}

resource "aws_iam_role" "deadline" {
  count = local.is_scheduled ? 1 : 0

  name                 = "${var.name}-deadline"
  description          = "What the deadline's state machine may do"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Step Functions takes the role for this machine, and for no other.
      {
        Sid       = "ThisMachine"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "states.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = local.deadline_arn }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "deadline" {
  count = local.is_scheduled ? 1 : 0

  name = "deadline"
  role = aws_iam_role.deadline[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        # Asks the starter and the ledger how the night is, and has the notifier tell.
        {
          Sid      = "InvokeStarterReportAndNotifier"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = [module.starter[0].arn, module.image_function["report"].arn, module.notifier.arn]
        },
      ],
      # Its log and its traces, as the nightly machine's.
      [for statement in local.machine_statements : statement if statement.Sid != "InvokeFunctions"],
    )
  })
}
