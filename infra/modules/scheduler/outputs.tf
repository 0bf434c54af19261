output "table_name" {
  description = "The table of jobs."
  value       = aws_dynamodb_table.jobs.name
}

output "queue_url" {
  description = "The queue of due times."
  value       = aws_sqs_queue.due.url
}

output "dead_letter_queue_url" {
  description = "The queue of due times that the runner failed at each time."
  value       = aws_sqs_queue.dead.url
}

output "undelivered_queue_url" {
  description = "The queue of events that the tick and the ended did not take."
  value       = aws_sqs_queue.undelivered.url
}

output "function_names" {
  description = "The three functions: tick, runner and ended."
  value       = { tick = module.tick.name, runner = module.runner.name, ended = module.ended.name }
}

output "role_arns" {
  description = "The functions' roles, by the same names."
  value       = { tick = module.tick.role_arn, runner = module.runner.role_arn, ended = module.ended.role_arn }
}

output "log_group_names" {
  description = "The functions' log groups, by the same names."
  value       = { tick = module.tick.log_group_name, runner = module.runner.log_group_name, ended = module.ended.log_group_name }
}

output "reader_policy_arn" {
  description = "Policy for people who look at jobs with `nightly-jobs`."
  value       = aws_iam_policy.reader.arn
}

output "operator_policy_arn" {
  description = "Policy for people who change jobs with `nightly-jobs`, too."
  value       = aws_iam_policy.operator.arn
}
