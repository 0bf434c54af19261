output "queue_arn" {
  description = "ARN of the job queue: Spot first, if it is on, then on-demand."
  value       = aws_batch_job_queue.this.arn
}

output "steady_queue_arn" {
  description = "ARN of the job queue of on-demand alone, for what must not be interrupted."
  value       = aws_batch_job_queue.steady.arn
}

output "job_definition_arn" {
  description = "ARN of the job definition's revision."
  value       = aws_batch_job_definition.this.arn
}

output "job_role_arn" {
  description = "ARN of the role of the copy itself, made or given."
  value       = local.job_role_arn
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
  description = "IAM statements that let a state machine run the job and wait for it."
  value       = local.start_statements
}
