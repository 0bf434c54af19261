# The containers are builds: of the image without a source, or of the repository.

module "nightly_etl" {
  source = "../.."

  name         = var.name
  image        = var.image
  architecture = var.architecture
  vpc_id       = var.vpc_id
  subnet_ids   = var.subnet_ids
  databases    = var.databases

  compute = "codebuild"
  codebuild = {
    source_code       = var.source_code
    compute_type      = "BUILD_GENERAL1_SMALL"
    concurrent_builds = 5 # the snapshot's holder, and four shards
  }

  shards   = 4
  settings = { tables = var.tables }

  notifier_zip = "${path.module}/../../../dist/notifier.zip"
  starter_zip  = "${path.module}/../../../dist/starter.zip"
}
