# One deployment for many jobs: each execution says whose settings it reads (settings_path). So neither the copy nor its
# functions may read any by themselves: they assume a role, whose session is tagged with the path, and which may read what
# is under that path and nothing else. docs/state-machine.md, "Many jobs", says what that stops and what it does not.

locals {
  for_jobs  = var.jobs != null
  jobs_path = try(var.jobs.path, "")

  # A night of the deployment's own: a schedule, a starter, a deadline. Jobs have schedules of their own.
  own_night    = var.jobs == null
  is_scheduled = local.own_night && var.schedule.enabled

  # By name, so that the roles that assume it may know it before it exists, as it has to know them.
  job_settings_name = "${var.name}-job-settings"
  job_settings_arn  = "arn:${local.partition}:iam::${local.account}:role/${local.job_settings_name}"

  # The parameter's ARN of the path in the session's tag. IAM takes the tag's value as it is: a * in it would be a
  # character, if a tag could have one. Without the tag nothing matches.
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
  tagged_parameter = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter$${aws:PrincipalTag/settings_path}"

  assume_job_settings = [
    # Reads a job's settings as that role, for one path; tagging the session is an action of its own.
    {
      Sid      = "ReadSettingsOfOneJob"
      Effect   = "Allow"
      Action   = ["sts:AssumeRole", "sts:TagSession"]
      Resource = [local.job_settings_arn]
    },
  ]
}

resource "aws_iam_role" "job_settings" {
  count = local.for_jobs ? 1 : 0

  name                 = local.job_settings_name
  description          = "What a run may read: the settings of its own job"
  max_session_duration = 3600 # the least there is; the runner asks for 15 minutes
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # Here and not at the variable: a validation that reads another variable is left out if that one is bad, too.
  lifecycle {
    precondition {
      condition     = var.schedule.expression == "cron(15 4 * * ? *)" && var.schedule.timezone == "UTC"
      error_message = "schedule is that of a deployment of one night: with jobs, each job has its own, in the scheduler's table (modules/scheduler); leave it out."
    }
  }

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # This deployment's copy and functions alone, and only for a path under the one of all jobs: it has something after
      # the slash, and no empty part, so that it is never the path of all jobs in another spelling.
      {
        Sid       = "RunsOfThisDeployment"
        Effect    = "Allow"
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Principal = { AWS = concat([local.job_role_arn], [for function in module.image_function : function.role_arn]) }
        Condition = {
          StringLike    = { "aws:RequestTag/settings_path" = "${local.jobs_path}/?*" }
          StringNotLike = { "aws:RequestTag/settings_path" = ["*//*", "*/"] }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "job_settings" {
  count = local.for_jobs ? 1 : 0

  name = "settings"
  role = aws_iam_role.job_settings[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The settings of the job whose path the session is tagged with, all pages, decrypted; or one of them by its name.
      {
        Sid      = "ReadSettings"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParametersByPath"]
        Resource = [local.tagged_parameter, "${local.tagged_parameter}/*"]
      },
      # Parameter Store decrypts SecureStrings in the session's name, and for nothing but parameters under its path.
      {
        Sid      = "DecryptSettings"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [module.settings.kms_key_arn]
        Condition = {
          StringEquals = { "kms:ViaService" = "ssm.${local.region}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:PARAMETER_ARN" = "${local.tagged_parameter}/*" }
        }
      },
    ]
  })
}

# What a deployment of one night had before there were others.

moved {
  from = aws_scheduler_schedule.nightly
  to   = aws_scheduler_schedule.nightly[0]
}

moved {
  from = aws_iam_role.schedule
  to   = aws_iam_role.schedule[0]
}

moved {
  from = aws_iam_role_policy.schedule
  to   = aws_iam_role_policy.schedule[0]
}

moved {
  from = module.starter
  to   = module.starter[0]
}
