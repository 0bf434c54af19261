# Subnets without NAT: the endpoints that the job needs, and a job that reaches nothing else.

data "aws_region" "this" {}

locals {
  region = data.aws_region.this.id

  # What each is for; on CodeBuild add codebuild, with the transform or the batches nothing more.
  interfaces = {
    ssm       = "settings"
    kms       = "the settings' key, where something asks KMS itself"
    "ecr.api" = "the image: where its layers are"
    "ecr.dkr" = "the image: its manifest"
    logs      = "log lines"
    sts       = "the roles of tasks that ask for them"
  }
}

resource "aws_security_group" "endpoints" {
  name_prefix = "${var.name}-endpoints-"
  description = "AWS APIs inside the VPC, for the nightly copy"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "The nightly copy"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = module.nightly_etl.security_group_ids[0]
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interfaces

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true
  tags                = { Name = "${var.name}-${each.key}", for = each.value }
}

# The image's layers are in S3.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  tags              = { Name = "${var.name}-s3", for = "the layers of the image" }
}

module "nightly_etl" {
  source = "../.."

  name         = var.name
  image        = var.image
  architecture = var.architecture
  vpc_id       = var.vpc_id
  subnet_ids   = var.subnet_ids
  databases    = var.databases
  compute      = "fargate"
  settings     = { tables = var.tables }

  https_cidrs           = []
  https_security_groups = { endpoints = aws_security_group.endpoints.id }
  https_prefix_lists    = { s3 = aws_vpc_endpoint.s3.prefix_list_id }

  notifier_zip = "${path.module}/../../../dist/notifier.zip"
  starter_zip  = "${path.module}/../../../dist/starter.zip"
}
