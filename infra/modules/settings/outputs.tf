output "path" {
  description = "ETL_PARAMETER_PATH for the job."
  value       = var.path
}

output "kms_key_arn" {
  description = "The key of the secrets."
  value       = local.key_arn
}

output "kms_key_alias" {
  description = "The key's alias, null where it has none."
  value       = local.key_alias
}

output "secret_names" {
  description = "The SecureStrings that someone has to set."
  value       = sort([for parameter in aws_ssm_parameter.secret : parameter.name])
}

output "read_statements" {
  description = "IAM statements that let a role read all parameters under the path."
  value = [
    # The runner reads its settings, all pages under the path, decrypted. GetParametersByPath is authorized on the path
    # itself.
    {
      Sid    = "ReadSettings"
      Effect = "Allow"
      Action = ["ssm:GetParametersByPath"]
      Resource = [
        "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${var.path}",
        "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${var.path}/*",
      ]
    },
    # Parameter Store decrypts SecureStrings in the reader's name, and for nothing but parameters under the path.
    {
      Sid      = "DecryptSettings"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [local.key_arn]
      Condition = {
        StringEquals = { "kms:ViaService" = "ssm.${local.region}.amazonaws.com" }
        StringLike = {
          "kms:EncryptionContext:PARAMETER_ARN" = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${var.path}/*"
        }
      }
    },
  ]
}
