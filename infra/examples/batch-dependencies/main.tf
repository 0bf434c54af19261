# Two jobs on one queue: the copy, and `etl verify`, which Batch starts when the copy has succeeded.

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

module "batch" {
  source = "../../modules/batch"

  name               = var.name
  image              = var.image
  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
  architecture       = var.architecture
  environment        = { ETL_PARAMETER_PATH = module.settings.path, ETL_LOG_FORMAT = "json" }
  statements         = module.settings.read_statements
  log_kms_key_arn    = module.settings.kms_key_arn

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

resource "aws_sfn_state_machine" "chain" {
  # checkov:skip=CKV_AWS_284: two states that wait for nothing; Batch says how the jobs went
  # checkov:skip=CKV_AWS_285: two states that wait for nothing; Batch says how the jobs went
  name     = "${var.name}-chain"
  role_arn = aws_iam_role.chain.arn

  definition = jsonencode({
    Comment       = "The copy, and then its proof."
    QueryLanguage = "JSONata"
    StartAt       = "Copy"
    States = {
      Copy = {
        Type     = "Task"
        Resource = "arn:aws:states:::batch:submitJob"
        Arguments = {
          JobName       = "copy"
          JobQueue      = module.batch.queue_arn
          JobDefinition = module.batch.job_definition_arn
        }
        Assign = { copy = "{% $states.result.JobId %}" }
        Next   = "Verify"
      }
      Verify = {
        Type     = "Task"
        Resource = "arn:aws:states:::batch:submitJob"
        Arguments = {
          JobName            = "verify"
          JobQueue           = module.batch.queue_arn
          JobDefinition      = module.batch.job_definition_arn
          DependsOn          = [{ JobId = "{% $copy %}" }]
          ContainerOverrides = { Command = ["verify"] }
        }
        End = true
      }
    }
  })

  depends_on = [aws_iam_role_policy.chain]
}

resource "aws_iam_role" "chain" {
  name = "${var.name}-chain"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Step Functions takes the role for this account's machines.
      {
        Sid       = "MachinesOfThisAccount"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "states.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "chain" {
  name   = "chain"
  role   = aws_iam_role.chain.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [for statement in module.batch.start_statements : statement if statement.Sid == "SubmitTheJob"] })
}

data "aws_caller_identity" "this" {}
