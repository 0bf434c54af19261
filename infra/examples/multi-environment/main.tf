# One instance of the module an environment. They share the image's repository and nothing else: what production runs is what
# staging ran, by its digest.

module "image" {
  source = "../../modules/image"

  name = "nightly-etl"
}

module "nightly_etl" {
  source   = "../.."
  for_each = var.environments

  name              = "nightly-etl-${each.key}"
  image             = coalesce(each.value.image, var.image)
  architecture      = var.architecture
  create_repository = false
  vpc_id            = each.value.vpc_id
  subnet_ids        = each.value.subnet_ids
  databases         = each.value.databases
  compute           = each.value.compute
  shards            = each.value.shards
  settings          = { tables = each.value.tables }
  schedule          = { enabled = each.value.scheduled }
  tags              = { environment = each.key }

  metrics_dimensions = { environment = each.key }

  notifier_zip = "${path.module}/../../../dist/notifier.zip"
  starter_zip  = "${path.module}/../../../dist/starter.zip"
}
