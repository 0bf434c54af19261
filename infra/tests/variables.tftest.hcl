# Every validation of the root module's variables refuses what it is there to refuse. `terraform test`, no AWS.

mock_provider "aws" {
  source = "./tests/mocks"

  # Known in a plan, so that the check of the secrets' keys is: in a test an unknown one is an error.
  mock_resource "aws_kms_key" {
    override_during = plan
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
      id     = "00000000-0000-0000-0000-000000000000"
      key_id = "00000000-0000-0000-0000-000000000000"
    }
  }
}

variables {
  image        = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  vpc_id       = "vpc-0a1b2c3d"
  subnet_ids   = ["subnet-0a1b2c3d", "subnet-1a2b3c4d"]
  databases    = { shop = { security_group_id = "sg-0a1b2c3d" } }
  notifier_zip = "tests/empty.zip"
  starter_zip  = "tests/empty.zip"
}

run "bad_values_first" {
  command = plan

  variables {
    create_kms_key              = false
    create_topic                = false
    name                        = "Nightly_ETL"
    image                       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl:latest"
    architecture                = "riscv"
    keep_images                 = 1
    environment                 = { ETL_OPERATIONAL_PASSWORD = "x" }
    vpc_id                      = "default"
    subnet_ids                  = []
    databases                   = {}
    https_cidrs                 = ["everywhere"]
    parameter_path              = "nightly-etl"
    slack_secrets               = { bot_token = "The token." }
    kms_key_arn                 = "alias/etl"
    rds_db_users                = ["arn:aws:rds-db:eu-central-1:123456789012:dbuser:*/etl"]
    compute                     = "ec2"
    schedule                    = { expression = "15 1 * * *" }
    shards                      = 0
    max_concurrency             = 41
    load_timeout_seconds        = 60
    batch_rows                  = 0
    transform_state_machine_arn = "dbt"
    zip_architecture            = "riscv"
    topic_arn                   = "alerts"
    emails                      = ["nobody"]
    runbook_url                 = "docs/operations.md"
    slow_minutes                = 0
    metrics_namespace           = "AWS/Mine"
    metrics_dimensions          = { table = "x" }
    reports_bucket              = "s3://pages"
    create_reports_bucket       = false
    keep_reports_days           = 0
    log_retention_days          = 42
    permissions_boundary        = "boundary"
  }

  expect_failures = [
    var.name,
    var.image,
    var.architecture,
    var.keep_images,
    var.environment,
    var.vpc_id,
    var.subnet_ids,
    var.databases,
    var.https_cidrs,
    var.parameter_path,
    var.slack_secrets,
    var.kms_key_arn,
    var.rds_db_users,
    var.compute,
    var.schedule,
    var.shards,
    var.max_concurrency,
    var.load_timeout_seconds,
    var.batch_rows,
    var.transform_state_machine_arn,
    var.zip_architecture,
    var.topic_arn,
    var.emails,
    var.runbook_url,
    var.slow_minutes,
    var.metrics_namespace,
    var.metrics_dimensions,
    var.reports_bucket,
    var.keep_reports_days,
    var.log_retention_days,
    var.permissions_boundary,
  ]
}

run "bad_values_second" {
  command = plan

  variables {
    create_kms_key     = false
    create_topic       = false
    name               = "a-name-that-is-much-too-long-for-the-roles-of-iam"
    subnet_ids         = ["10.0.0.0/24"]
    databases          = { shop = {} }
    parameter_path     = "/nightly-etl/"
    schedule           = { timezone = "+01:00" }
    shards             = [["orders\"; drop"]]
    metrics_dimensions = { team = "a,b" }

    reports_bucket = "nightly-etl-pages"
  }

  expect_failures = [
    var.kms_key_arn,
    var.topic_arn,
    var.name,
    var.subnet_ids,
    var.databases,
    var.parameter_path,
    var.schedule,
    var.shards,
    var.metrics_dimensions,
    var.reports_bucket,
  ]
}

run "bad_values_third" {
  command = plan

  variables {
    https_cidrs    = ["10.0.0.0/8", "10.0.0.1/8"]
    databases      = { shop = { cidr = "10.0.0.0/24", security_group_id = "sg-0a" } }
    parameter_path = "/aws/etl"
    schedule       = { flexible_minutes = 1441 }
    shards         = []

    create_reports_bucket = false
    reports_bucket        = "nightly-etl-pages"
    reports_kms_key_arn   = "alias/pages"
  }

  expect_failures = [
    var.https_cidrs,
    var.databases,
    var.parameter_path,
    var.schedule,
    var.shards,
    var.reports_kms_key_arn,
  ]
}

run "bad_values_fourth" {
  command = plan

  variables {
    databases = { shop = { cidr = "ten" } }
    shards    = 1.5
  }

  expect_failures = [
    var.databases,
    var.shards,
  ]
}

run "bad_values_fifth" {
  command = plan

  variables {
    databases = { shop = { cidr = "10.0.0.0/24", port = 0 } }
  }

  expect_failures = [
    var.databases,
  ]
}

run "bad_values_sixth" {
  command = plan

  variables {
    security_group_ids   = ["default"]
    published_by_minutes = 15
  }

  expect_failures = [
    var.security_group_ids,
    var.published_by_minutes,
  ]
}

run "two_databases_behind_one_group" {
  command = plan

  variables {
    databases             = { operational = { security_group_id = "sg-0a" }, reporting = { security_group_id = "sg-0a" } }
    https_security_groups = { ssm = "sg-0b", kms = "sg-0b" }
    https_prefix_lists    = { s3 = "pl-0a", again = "pl-0a" }
    schedule              = { expression = "rate(1 hour)" }
  }

  expect_failures = [
    var.databases,
    var.https_security_groups,
    var.https_prefix_lists,
    var.schedule,
  ]
}

run "two_databases_in_one_network" {
  command = plan

  variables {
    databases = { operational = { cidr = "10.0.0.7/24" }, reporting = { cidr = "10.0.0.8/24" } }
    schedule  = { timezone = "Europe/Atlantis" }
    batch     = { max_vcpus = 4 }
  }

  expect_failures = [
    var.databases,
    var.schedule,
    var.batch,
  ]
}

run "two_databases_at_two_ports" {
  command = plan

  variables {
    databases       = { operational = { security_group_id = "sg-0a" }, reporting = { security_group_id = "sg-0a", port = 5433 } }
    schedule        = { expression = "cron(30 3 * * ? *)", timezone = "Europe/Berlin" }
    batch           = { max_vcpus = 3 }
    max_concurrency = 2
  }
}

run "an_hour_that_is_left_out" {
  command = plan

  variables {
    schedule  = { expression = "cron(15 1 * * ? *)", timezone = "Europe/London" }
    compute   = "codebuild"
    codebuild = { concurrent_builds = 4 }
  }

  expect_failures = [
    var.schedule,
    var.codebuild,
  ]
}

run "many_starts_a_day" {
  command = plan

  variables {
    schedule = { expression = "cron(0 1,13 * * ? *)" }
  }

  expect_failures = [
    var.schedule,
  ]
}

run "a_container_that_cannot_be" {
  command = plan

  variables {
    create_job_role   = false
    job_role_arn      = "etl"
    volumes           = { certificates = { path = "rds" } }
    container_secrets = { AGENT_KEY = "secret" }
  }

  expect_failures = [
    var.job_role_arn,
    var.volumes,
    var.container_secrets,
  ]
}

run "a_build_has_no_container_of_ours" {
  command = plan

  variables {
    compute           = "codebuild"
    create_job_role   = false
    job_role_arn      = "arn:aws:iam::123456789012:role/etl"
    volumes           = { certificates = { path = "/rds" } }
    container_secrets = { AGENT_KEY = "arn:aws:ssm:eu-central-1:123456789012:parameter/agent" }
  }

  expect_failures = [
    var.job_role_arn,
    var.volumes,
    var.container_secrets,
  ]
}

run "a_variable_that_is_a_secret_too" {
  command = plan

  variables {
    job_role_arn      = "arn:aws:iam::123456789012:role/etl"
    container_secrets = { ETL_LOG_FORMAT = "arn:aws:ssm:eu-central-1:123456789012:parameter/format" }
  }

  expect_failures = [
    var.job_role_arn,
    var.container_secrets,
  ]
}

run "a_week_s_end_without_a_night" {
  command = plan

  variables {
    schedule = { expression = "cron(15 4 ? * MON-FRI *)" }
    shards   = 501
  }

  expect_failures = [
    var.never_started_hours,
    var.shards,
  ]
}

run "a_minute_that_there_is_not" {
  command = plan

  variables {
    schedule = { expression = "cron(75 4 * * ? *)" }
  }

  expect_failures = [
    var.schedule,
  ]
}

run "every_other_night" {
  command = plan

  variables {
    schedule            = { expression = "cron(15 4 ? * MON,WED,FRI *)" }
    never_started_hours = 74
  }
}

# By itself: a validation that looks at the schedule, too, is not made where the schedule is refused.
run "more_hours_than_an_alarm_looks_back" {
  command = plan

  variables {
    never_started_hours = 169
  }

  expect_failures = [
    var.never_started_hours,
  ]
}

run "a_path_of_jobs_with_a_slash_at_its_end" {
  command = plan

  variables {
    jobs = { path = "/nightly-etl/jobs/" }
  }

  expect_failures = [
    var.jobs,
  ]
}

run "settings_of_nobody" {
  command = plan

  variables {
    jobs     = { path = "/nightly-etl/jobs" }
    settings = { tables = "orders" }
  }

  expect_failures = [
    var.settings,
  ]
}

run "a_path_of_jobs_above_the_secrets_of_slack" {
  command = plan

  variables {
    jobs           = { path = "/etl" }
    parameter_path = "/etl/prod"
  }

  expect_failures = [
    var.jobs,
  ]
}

run "a_schedule_of_nobody" {
  command = plan

  variables {
    jobs     = { path = "/nightly-etl/jobs" }
    schedule = { expression = "cron(0 2 * * ? *)" }
  }

  expect_failures = [
    aws_iam_role.job_settings,
  ]
}

run "a_key_of_no_bucket" {
  command = plan

  variables {
    create_reports_bucket = false
    reports_kms_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  }

  expect_failures = [
    var.reports_kms_key_arn,
  ]
}
