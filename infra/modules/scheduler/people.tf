# For people who use `nightly-jobs`: attach one of the two to their role. The functions have neither.

locals {
  read_statements = concat(local.key_statements, [
    # Lists jobs, shows one, and its runs and pools.
    {
      Sid      = "ReadJobs"
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"]
      Resource = [aws_dynamodb_table.jobs.arn]
    },
    # Says how a run's execution is.
    {
      Sid      = "LookAtTheRuns"
      Effect   = "Allow"
      Action   = ["states:DescribeExecution"]
      Resource = [local.executions]
    },
  ])
}

resource "aws_iam_policy" "reader" {
  name        = "${local.name}-reader"
  description = "nightly-jobs list, show and history of ${var.name}"
  tags        = var.tags

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.read_statements
  })
}

resource "aws_iam_policy" "operator" {
  name        = "${local.name}-operator"
  description = "All of nightly-jobs of ${var.name}: put, enable, disable and run-now, too"
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.read_statements, [
      # Writes a job's definition, enables, disables and removes it.
      {
        Sid      = "WriteJobs"
        Effect   = "Allow"
        Action   = ["dynamodb:DeleteItem", "dynamodb:UpdateItem"]
        Resource = [aws_dynamodb_table.jobs.arn]
      },
      # Asks for a run now, through the queue that it finds by its name; the runner starts it.
      {
        Sid      = "AskForARun"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
        Resource = [aws_sqs_queue.due.arn]
      },
    ])
  })
}
