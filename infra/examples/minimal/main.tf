# One Fargate task a night, and a topic that hears when it failed or never started.

data "aws_caller_identity" "this" {}

module "image" {
  source = "../../modules/image"

  name = var.name
}

module "settings" {
  source = "../../modules/settings"

  name  = var.name
  path  = "/${var.name}"
  plain = { tables = var.tables }
  secrets = {
    "operational/url" = "The operational database, as a libpq URL with its password."
    "reporting/url"   = "The reporting database, as a libpq URL with its password."
  }
}

module "task" {
  source = "../../modules/fargate"

  name               = var.name
  image              = var.image
  architecture       = var.architecture
  vcpu               = 1
  memory_mb          = 2048
  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
  environment        = { ETL_PARAMETER_PATH = module.settings.path, ETL_LOG_FORMAT = "json" }
  statements         = module.settings.read_statements
  log_kms_key_arn    = module.settings.kms_key_arn
  topic_arn          = aws_sns_topic.failures.arn

  schedule = {
    expression       = "cron(15 4 * * ? *)"
    timezone         = "Europe/Berlin"
    flexible_minutes = 15
  }

  pull_statements = [
    # A token for the registry; the API takes no resource.
    {
      Sid      = "SignInToRegistry"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = ["*"]
    },
    # The job's image, from its repository.
    {
      Sid      = "PullTheImage"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = [module.image.repository_arn]
    },
  ]
}

resource "aws_sns_topic" "failures" {
  name              = "${var.name}-failures"
  kms_master_key_id = module.settings.kms_key_arn
}

resource "aws_sns_topic_policy" "failures" {
  arn = aws_sns_topic.failures.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The rule publishes failed tasks. EventBridge's guide: no conditions in a topic's policy, they never hold.
      {
        Sid       = "FailedTasks"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.failures.arn
      },
      # The alarm publishes what could not be started.
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.failures.arn
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.failures.arn
  protocol  = "email"
  endpoint  = each.value
}
