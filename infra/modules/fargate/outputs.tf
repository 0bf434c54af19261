output "cluster_arn" {
  description = "ARN of the cluster, made or given."
  value       = local.cluster_arn
}

output "task_definition_arn" {
  description = "ARN of the task definition's revision."
  value       = aws_ecs_task_definition.this.arn
}

output "capacity_provider" {
  description = "FARGATE or FARGATE_SPOT."
  value       = local.provider
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
  description = "IAM statements that let a state machine run the task and wait for it."
  value       = local.start_statements
}

output "failed_task_pattern" {
  description = "The event pattern of failed tasks."
  value       = local.failed_task_pattern
}
