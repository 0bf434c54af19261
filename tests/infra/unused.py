"""What the deployed policies allow and no test asks for, with who does ask for it; a test keeps this complete."""

from __future__ import annotations

_INTERFACES = "Lambda and CodeBuild make, and look up, their network interfaces in the role's name; moto has no network"
_DELIVERY = "Step Functions sets up the delivery of its log when a machine is made; moto delivers none"
_TRACES = "Lambda and Step Functions send traces; moto takes none"
_PULL = "ECS and CodeBuild pull the image; here the runner is started without one"
_OUTPUT = "ECS's log driver, CodeBuild and Lambda write what a process prints; here it stays with the process"
_STOP = "Step Functions stops a container whose execution was aborted, or ran out of time"

UNUSED = {
    "batch:TerminateJob": _STOP,
    "codebuild:StopBuild": _STOP,
    "ec2:AssignPrivateIpAddresses": _INTERFACES,
    "ec2:CreateNetworkInterface": _INTERFACES,
    "ec2:CreateNetworkInterfacePermission": _INTERFACES,
    "ec2:DeleteNetworkInterface": _INTERFACES,
    "ec2:DescribeDhcpOptions": _INTERFACES,
    "ec2:DescribeNetworkInterfaces": _INTERFACES,
    "ec2:DescribeSecurityGroups": _INTERFACES,
    "ec2:DescribeSubnets": _INTERFACES,
    "ec2:DescribeVpcs": _INTERFACES,
    "ec2:UnassignPrivateIpAddresses": _INTERFACES,
    "ecr:BatchCheckLayerAvailability": _PULL,
    "ecr:BatchGetImage": _PULL,
    "ecr:GetAuthorizationToken": _PULL,
    "ecr:GetDownloadUrlForLayer": _PULL,
    "ecs:StopTask": _STOP,
    "logs:CreateLogDelivery": _DELIVERY,
    "logs:CreateLogStream": _OUTPUT,
    "logs:DeleteLogDelivery": _DELIVERY,
    "logs:DescribeLogGroups": _DELIVERY,
    "logs:DescribeResourcePolicies": _DELIVERY,
    "logs:GetLogDelivery": _DELIVERY,
    "logs:ListLogDeliveries": _DELIVERY,
    "logs:PutLogEvents": _OUTPUT,
    "logs:PutResourcePolicy": _DELIVERY,
    "logs:UpdateLogDelivery": _DELIVERY,
    "sqs:SendMessage": "Scheduler puts aside what it could not deliver; here every call is taken",
    "xray:GetSamplingRules": _TRACES,
    "xray:GetSamplingTargets": _TRACES,
    "xray:PutTelemetryRecords": _TRACES,
    "xray:PutTraceSegments": _TRACES,
}
