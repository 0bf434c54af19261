# Parameter Store: what the runner reads under ETL_PARAMETER_PATH, and the key that encrypts the secrets among it.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  key_arn   = var.create_kms_key ? aws_kms_key.this[0].arn : var.kms_key_arn
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.id # 5.x and 6.x of the provider have different names for it
  partition = data.aws_partition.this.partition

  # Parameter Store says a key's name as it was told it.
  key_alias = var.create_kms_key ? aws_kms_alias.this[0].name : var.kms_key_alias
  key_names = concat([local.key_arn, element(split("/", local.key_arn), 1)], local.key_alias == null ? [] : [
    local.key_alias,
    "arn:${local.partition}:kms:${local.region}:${local.account}:${local.key_alias}",
  ])
}

resource "aws_kms_key" "this" {
  count = var.create_kms_key ? 1 : 0

  description             = "${var.name}: secrets, logs, pages and notifications of the nightly job"
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
  description      = "${each.value} Set it with: aws ssm put-parameter --overwrite --type SecureString --key-id ${local.key_arn} --name ${var.path}/${each.key} --value …"
  type             = "SecureString"
  key_id           = local.key_arn
  value_wo         = "not-set-yet"
  value_wo_version = 1
  tags             = var.tags

  lifecycle {
    # PutParameter changes each of these with the value alone, and Terraform has no value to send: it would send an empty
    # one, which is refused. Whoever sets the value by hand says them: the key above all.
    ignore_changes = [description, key_id, tier]
  }
}

# A value that was set without --key-id is encrypted with the account's own key for Parameter Store, and one that was set
# before the deployment had another key, with that; the job may decrypt with neither.
check "keys_of_secrets" {
  assert {
    condition = alltrue([for secret in aws_ssm_parameter.secret : contains(local.key_names, secret.key_id)])
    error_message = join(" ", concat(
      ["Not encrypted with the deployment's key, so that the job cannot read it:"],
      [for secret in aws_ssm_parameter.secret : "${secret.name} (${secret.key_id})." if !contains(local.key_names, secret.key_id)],
      ["Set it again, with --key-id ${local.key_arn}."],
    ))
  }
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
