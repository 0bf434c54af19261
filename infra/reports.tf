# The pages of the nights: a private, encrypted bucket, into which the function `report` writes a page for each run, and
# latest.html. No other role of the deployment may do anything with it. People read with what they may do in AWS
# themselves: the output report_reader_statements is what that takes.

locals {
  has_reports    = var.create_reports_bucket || var.reports_bucket != null
  reports_bucket = var.create_reports_bucket ? aws_s3_bucket.reports[0].bucket : var.reports_bucket
  reports_arn    = local.has_reports ? "arn:${local.partition}:s3:::${local.reports_bucket}" : ""
  reports_keys   = var.create_reports_bucket ? [module.settings.kms_key_arn] : [for key in [var.reports_kms_key_arn] : key if key != null]

  # Where the pages are: etl/report/bucket.py.
  reports_pages = ["${local.reports_arn}/nights/*", "${local.reports_arn}/jobs/*"]

  # S3 uses the key in its caller's name, and for nothing but these pages. It tells KMS the bucket where that has a key
  # made from this one, as the bucket made here has; otherwise the page.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
  reports_key_condition = {
    StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" }
    StringLike   = { "kms:EncryptionContext:aws:s3:arn" = concat([local.reports_arn], local.reports_pages) }
  }

  report_environment = local.has_reports ? { ETL_REPORT_BUCKET = local.reports_bucket } : {}

  report_statements = concat(
    [for statement in [
      # Writes pages. It can neither read one, nor list them, nor take one away.
      {
        Sid      = "WritePages"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = local.reports_pages
      },
    ] : statement if local.has_reports],
    [for statement in [
      # S3 asks for a key to encrypt a page with.
      {
        Sid       = "EncryptPages"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey"]
        Resource  = local.reports_keys
        Condition = local.reports_key_condition
      },
    ] : statement if local.has_reports && length(local.reports_keys) > 0],
  )

  report_reader_statements = concat(
    [for statement in [
      # Opens a page.
      {
        Sid      = "ReadPages"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = local.reports_pages
      },
      # Lists the pages, and hears of one that is missing that it is missing: without this S3 says that it is forbidden.
      {
        Sid      = "ListPages"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [local.reports_arn]
      },
    ] : statement if local.has_reports],
    [for statement in [
      # S3 decrypts a page. The key is that of the secrets, too: so for S3 alone, and for this bucket.
      {
        Sid       = "DecryptPages"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = local.reports_keys
        Condition = local.reports_key_condition
      },
    ] : statement if local.has_reports && length(local.reports_keys) > 0],
  )
}

# Names of buckets are the world's, so AWS's own suffix makes this one unique, and nobody can take it before.
resource "aws_s3_bucket" "reports" {
  # checkov:skip=CKV_AWS_18: who reads pages is in CloudTrail's data events, where a trail has them; pages hold no row
  # checkov:skip=CKV_AWS_21: a page is made again from the ledger (`etl report RUN_ID --output`), so no version has to be kept
  # checkov:skip=CKV_AWS_144: a page is made again from the ledger, so no second region has to have it
  # checkov:skip=CKV2_AWS_62: nobody waits for a page; Slack's message links to it
  count = var.create_reports_bucket ? 1 : 0

  bucket_prefix = "${substr(var.name, 0, 28)}-reports-"
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "reports" {
  count = var.create_reports_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.reports[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Without access control lists: policies alone say who may do what.
resource "aws_s3_bucket_ownership_controls" "reports" {
  count = var.create_reports_bucket ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "reports" {
  count = var.create_reports_bucket ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.settings.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "reports" {
  count = var.create_reports_bucket ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  rule {
    id     = "old-pages"
    status = "Enabled"

    filter {}

    expiration {
      days = var.keep_reports_days
    }

    # Of a bucket whose versioning somebody has turned on.
    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "reports" {
  count = var.create_reports_bucket ? 1 : 0

  bucket = aws_s3_bucket.reports[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Nobody reads or writes a page over HTTP without TLS.
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.reports[0].arn, "${aws_s3_bucket.reports[0].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  # AWS refuses two changes of a bucket's access at once.
  depends_on = [aws_s3_bucket_public_access_block.reports]
}
