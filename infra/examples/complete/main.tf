# Everything on AWS Batch: Spot first, on-demand behind it.

module "nightly_etl" {
  source = "../.."

  name         = var.name
  image        = var.image
  architecture = var.architecture
  vpc_id       = var.vpc_id
  subnet_ids   = var.subnet_ids
  databases    = var.databases

  compute = "batch"
  batch = {
    spot      = true
    max_vcpus = 8
    vcpu      = 1
    memory_mb = 4096
  }

  schedule = {
    expression       = "cron(15 4 * * ? *)"
    timezone         = "Europe/Berlin"
    flexible_minutes = 15
  }

  shards = 4
  settings = {
    tables = var.tables
    verify = "checksum"
  }

  metrics_dimensions = { team = "data" }
  emails             = var.emails
  slow_minutes       = 90
  log_retention_days = 365

  notifier_zip = "${path.module}/../../../dist/notifier.zip"
  starter_zip  = "${path.module}/../../../dist/starter.zip"
}
