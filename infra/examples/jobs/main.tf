# Many tenants' copies from one deployment: the nightly module, and the scheduler that starts it for each job.

module "nightly_etl" {
  source = "../.."

  name         = var.name
  image        = var.image
  architecture = var.architecture
  vpc_id       = var.vpc_id
  subnet_ids   = var.subnet_ids
  databases    = var.databases
  compute      = "fargate"
  emails       = var.emails

  slack_secrets = var.slack_secrets

  # Each job has its own settings, and its own schedule in the scheduler's table.
  jobs = { path = "/${var.name}/jobs" }

  notifier_zip = "${path.module}/../../../dist/notifier.zip"
  starter_zip  = "${path.module}/../../../dist/starter.zip"
}

module "scheduler" {
  source = "../../modules/scheduler"

  name                   = var.name
  zip                    = "${path.module}/../../../dist/scheduler.zip"
  architecture           = var.architecture
  state_machine_arn      = module.nightly_etl.state_machine_arn
  notifier_function_name = module.nightly_etl.notifier_function_name
  topic_arn              = module.nightly_etl.topic_arn
  notify_topics          = ["${var.name}-tenant-*"]
  kms_key_arn            = module.nightly_etl.kms_key_arn
  log_kms_key_arn        = module.nightly_etl.kms_key_arn
  force_destroy          = var.force_destroy
}
