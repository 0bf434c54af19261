output "project_name" {
  description = "Name of the project."
  value       = aws_codebuild_project.this.name
}

output "project_arn" {
  description = "ARN of the project."
  value       = aws_codebuild_project.this.arn
}

output "job_role_arn" {
  description = "ARN of the role of the build."
  value       = aws_iam_role.job.arn
}

output "log_group_name" {
  description = "The job's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "log_group_arn" {
  description = "ARN of the job's log group."
  value       = aws_cloudwatch_log_group.this.arn
}

output "start_statements" {
  description = "IAM statements that let a state machine run the build and wait for it."
  value       = local.start_statements
}
