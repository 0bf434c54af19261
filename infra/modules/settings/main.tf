# Parameter Store: what the runner reads under ETL_PARAMETER_PATH, and the key that encrypts the secrets among it.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  key_arn   = var.create_kms_key ? aws_kms_key.this[0].arn : var.kms_key_arn
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition = data.aws_partition.this.partition
}

resource "aws_kms_key" "this" {
  count = var.create_kms_key ? 1 : 0

  description             = "${var.name}: secrets, logs and notifications of the nightly job"
  enable_key_rotation     = true
  deletion_window_in_days = var.kms_deletion_days
  tags                    = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Without this nobody could administer the key, and no IAM policy could allow its use. In a key's policy, `*` is
      # the key itself.
      {
        Sid       = "AccountAdministersAndDelegatesToIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      # CloudWatch Logs encrypts the job's log groups, and no others.
      {
        Sid       = "LogGroupsOfThisJob"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = [
              for group in ["/aws/lambda/${var.name}-*", "/aws/vendedlogs/states/${var.name}*", "/${var.name}/*"] :
              "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${group}"
            ]
          }
        }
      },
      # EventBridge (failed executions and tasks) and CloudWatch (alarms) publish to the encrypted topic. EventBridge gives
      # no source with it, so a condition on one would never hold, and the message would be lost.
      {
        Sid       = "EventsAndAlarmsToTopic"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "cloudwatch.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  count = var.create_kms_key ? 1 : 0

  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this[0].key_id
}

# Write-only: the state never holds a value, not this placeholder and not what is put in its place. With `value` and
# `ignore_changes` it would: each refresh reads the parameter, decrypted. The version never changes, so no apply
# overwrites what was set by hand.
resource "aws_ssm_parameter" "secret" {
  for_each = var.secrets

  name             = "${var.path}/${each.key}"
  description      = "${each.value} Set it with: aws ssm put-parameter --overwrite --type SecureString --name ${var.path}/${each.key} --value …"
  type             = "SecureString"
  key_id           = local.key_arn
  value_wo         = "not-set-yet"
  value_wo_version = 1
  tags             = var.tags
}

resource "aws_ssm_parameter" "plain" {
  # checkov:skip=CKV2_AWS_34: what is no secret, and stands in the state anyway
  for_each = var.plain

  name  = "${var.path}/${each.key}"
  type  = "String"
  tier  = length(each.value) > 4096 ? "Advanced" : "Standard"
  value = each.value
  tags  = var.tags
}
