# Subnets without NAT: the endpoints that the job needs, and a job that reaches nothing else.

data "aws_region" "this" {}

data "aws_vpc" "this" {
  id = var.vpc_id
}

# S3's addresses, whoever made the VPC's endpoint for it.
data "aws_ec2_managed_prefix_list" "s3" {
  name = "com.amazonaws.${local.region}.s3"
}

locals {
  region = data.aws_region.this.id

  # What each is for, by what runs the containers. The functions in the VPC need ssm; Lambda fetches their image, and
  # takes their lines, itself.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
  # https://docs.aws.amazon.com/batch/latest/userguide/vpc-endpoint-considerations.html
  # https://docs.aws.amazon.com/codebuild/latest/userguide/use-vpc-endpoints-with-codebuild.html
  needed = merge(
    {
      ssm       = "settings; Parameter Store decrypts them itself"
      "ecr.api" = "the image: where its layers are"
      "ecr.dkr" = "the image: its manifest"
      logs      = "log lines"
    },
    { for name, use in {
      ecs           = "hosts: their cluster"
      ecs-agent     = "hosts: what they are to run"
      ecs-telemetry = "hosts: how they are"
    } : name => use if var.compute == "batch" && var.platform == "ec2" },
    { for name, use in { codebuild = "builds" } : name => use if var.compute == "codebuild" },
  )

  # A VPC takes one endpoint with private DNS a service; those that are there are named by given_endpoints.
  made = { for name, use in local.needed : name => use if !contains(keys(var.given_endpoints), name) }
}

resource "aws_security_group" "endpoints" {
  name_prefix = "${var.name}-endpoints-"
  description = "AWS APIs inside the VPC"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

# Private DNS sends every machine of the VPC to these endpoints, not the job alone: who is not let in loses the API.
# https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  for_each = toset(data.aws_vpc.this.cidr_block_associations[*].cidr_block)

  security_group_id = aws_security_group.endpoints.id
  description       = "The VPC"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.made

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true
  tags                = { Name = "${var.name}-${each.key}", for = each.value }
}

# The image's layers are in S3, and so are the pages of the nights.
resource "aws_vpc_endpoint" "s3" {
  count = var.make_s3_endpoint ? 1 : 0

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  tags              = { Name = "${var.name}-s3", for = "the layers of the image, and the pages of the nights" }
}

module "nightly_etl" {
  source = "../.."

  name         = var.name
  image        = var.image
  architecture = var.architecture
  vpc_id       = var.vpc_id
  subnet_ids   = var.subnet_ids
  databases    = var.databases
  compute      = var.compute
  batch        = { platform = var.platform }
  settings     = { tables = var.tables }

  https_cidrs           = []
  https_security_groups = merge({ endpoints = aws_security_group.endpoints.id }, { for group in distinct(values(var.given_endpoints)) : group => group })
  https_prefix_lists    = { s3 = data.aws_ec2_managed_prefix_list.s3.id }

  notifier_zip = "${path.module}/../../../dist/notifier.zip"
  starter_zip  = "${path.module}/../../../dist/starter.zip"
}
