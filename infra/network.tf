# The VPC is yours. The job gets a security group of its own, unless it is given some.

locals {
  make_security_group = length(var.security_group_ids) == 0
  security_group_ids  = local.make_security_group ? [aws_security_group.job[0].id] : var.security_group_ids
}

resource "aws_security_group" "job" {
  count = local.make_security_group ? 1 : 0

  name_prefix = "${var.name}-job-"
  description = "The nightly copy: to its databases and to AWS, from nowhere"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-job" })

  lifecycle {
    create_before_destroy = true
  }
}

# To each database, on its port, by the database's own security group.
resource "aws_vpc_security_group_egress_rule" "database" {
  for_each = local.make_security_group ? var.databases : {}

  security_group_id            = aws_security_group.job[0].id
  description                  = "PostgreSQL: ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.security_group_id
  cidr_ipv4                    = each.value.cidr
}

# And the other way round, in the database's group, where it is ours to say.
resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = { for name, database in var.databases : name => database if database.allow && database.cidr == null }

  security_group_id            = each.value.security_group_id
  description                  = "The nightly copy ${var.name}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = local.security_group_ids[0]
}

# To AWS's APIs: through NAT or an internet gateway (a CIDR), or to the group of the VPC's endpoints.
resource "aws_vpc_security_group_egress_rule" "aws" {
  for_each = local.make_security_group ? toset(var.https_cidrs) : toset([])

  security_group_id = aws_security_group.job[0].id
  description       = "AWS's APIs"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  for_each = local.make_security_group ? var.https_security_groups : {}

  security_group_id            = aws_security_group.job[0].id
  description                  = "AWS's APIs through endpoints: ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = each.value
}

# To gateway endpoints, which are routes and have no group: S3 holds the image's layers.
resource "aws_vpc_security_group_egress_rule" "gateways" {
  for_each = local.make_security_group ? var.https_prefix_lists : {}

  security_group_id = aws_security_group.job[0].id
  description       = "AWS's APIs through a gateway endpoint: ${each.key}"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = each.value
}
