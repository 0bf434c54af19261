# The state machine's functions. Five are the job's image with another command, inside the VPC, because they speak to the
# databases; two are small zips outside it: the notifier, which speaks to Slack, and the starter.

locals {
  # name => seconds, MB. The state machine waits no longer than Lambda does (definitions/nightly.asl.json). With 1769 MB a
  # function has a processor of its own (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html), which
  # the page of a night is made by: with 512 MB it takes three times as long, and costs the same.
  image_functions = {
    plan       = { seconds = 840, memory = 512, about = "Divides the tables into shards" }
    publish    = { seconds = 900, memory = 512, about = "Makes live what the shards staged" }
    abort      = { seconds = 840, memory = 512, about = "Drops what a failed run staged" }
    report     = { seconds = 240, memory = 1769, about = "Says how a run ended, from the ledger, and writes its page" }
    copy_batch = { seconds = 900, memory = 1024, about = "Copies the next batch of one big table" }
  }
}

locals {
  put_aside_statements = [
    # Puts aside an event of EventBridge, which does not wait, when it could not be handled three times.
    {
      Sid      = "PutAsideUndelivered"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [aws_sqs_queue.undelivered.arn]
    },
  ]

  # What one of the image's functions may do beside what all of them may.
  more_statements = { abort = local.put_aside_statements, report = local.report_statements }
}

# The two that EventBridge calls, without waiting for the answer.
resource "aws_lambda_function_event_invoke_config" "events" {
  for_each = { notifier = module.notifier.name, abort = module.image_function["abort"].name }

  function_name          = each.value
  maximum_retry_attempts = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.undelivered.arn
    }
  }
}

module "image_function" {
  source   = "./modules/function"
  for_each = local.image_functions

  name                 = "${var.name}-${replace(each.key, "_", "-")}"
  description          = each.value.about
  image                = var.image
  image_config         = { entry_point = var.function_entry_point, command = ["etl.functions.${each.key}"] }
  architecture         = var.architecture
  environment          = merge(local.environment, each.key == "report" ? local.report_environment : {})
  timeout_seconds      = each.value.seconds
  memory_mb            = each.value.memory
  statements           = concat(local.job_statements, lookup(local.more_statements, each.key, []))
  subnet_ids           = var.subnet_ids
  security_group_ids   = local.security_group_ids
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = local.log_key
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

module "notifier" {
  source = "./modules/function"

  name                 = "${var.name}-notifier"
  description          = "Tells Slack how a run ended"
  zip                  = var.notifier_zip
  handler              = var.notifier_handler
  architecture         = var.zip_architecture
  timeout_seconds      = 110
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = local.log_key
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  environment = {
    SLACK_PARAMETER_PATH = module.slack.path
    LOG_GROUP            = local.job_log_group
    DEPLOYMENT           = var.name
    STARTER              = local.own_night ? "${var.name}-starter" : ""
    PUBLISHER            = "${var.name}-publish"
    RUNBOOK_URL          = var.runbook_url
  }

  statements = concat(module.slack.read_statements, local.put_aside_statements, [
    # An event of a failed execution may lack the error that says whether Slack was told already.
    {
      Sid      = "DescribeExecutions"
      Effect   = "Allow"
      Action   = ["states:DescribeExecution"]
      Resource = [for machine in local.machine_arns : "${replace(machine, ":stateMachine:", ":execution:")}:*"]
    },
  ])
}

module "starter" {
  source = "./modules/function"
  count  = local.own_night ? 1 : 0

  name                 = "${var.name}-starter"
  description          = "Starts the run of a date, once"
  zip                  = var.starter_zip
  handler              = var.starter_handler
  architecture         = var.zip_architecture
  timeout_seconds      = 60
  environment          = { STATE_MACHINE_ARN = local.machine_arn, TIMEZONE = var.schedule.timezone }
  log_retention_days   = var.log_retention_days
  log_kms_key_arn      = local.log_key
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  statements = [
    # Starts this machine and no other; that a date's run exists already is Step Functions' own answer.
    {
      Sid      = "StartTheRun"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = [local.machine_arn]
    },
    # Looks at the deadline whether a night is published.
    {
      Sid      = "LookAtTheRuns"
      Effect   = "Allow"
      Action   = ["states:ListExecutions"]
      Resource = [local.machine_arn]
    },
  ]
}
