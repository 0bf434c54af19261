# A configuration that makes itself what the module is given: nothing of it is known when the plan is made.

variable "image" {
  type = string
}

variable "zip" {
  type = string
}

resource "aws_security_group" "database" {
  name   = "shop"
  vpc_id = "vpc-0a1b2c3d"
}

resource "aws_kms_key" "own" {}

resource "aws_sns_topic" "own" {}

resource "aws_s3_bucket" "own" {}

resource "aws_ecs_cluster" "own" {
  name = "shared"
}

module "nightly_etl" {
  source = "../.."

  image        = var.image
  vpc_id       = "vpc-0a1b2c3d"
  subnet_ids   = ["subnet-0a1b2c3d"]
  databases    = { shop = { security_group_id = aws_security_group.database.id } }
  notifier_zip = var.zip
  starter_zip  = var.zip

  create_kms_key = false
  kms_key_arn    = aws_kms_key.own.arn
  create_topic   = false
  topic_arn      = aws_sns_topic.own.arn

  create_reports_bucket = false
  reports_bucket        = aws_s3_bucket.own.bucket
  reports_kms_key_arn   = aws_kms_key.own.arn

  compute = "fargate"
  fargate = {
    create_cluster = false
    cluster_arn    = aws_ecs_cluster.own.arn
  }
}
