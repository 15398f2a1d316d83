import torch


def _hypot1(x):
    """sqrt(1 + x*x) without overflow."""
    a = torch.abs(x)
    return torch.where(a > 1e9, a, torch.sqrt(1.0 + x * x))


def forward(x):
    t1 = _hypot1(x)
    t2 = 1.0 + t1
    t3 = x / t2
    t4 = x * t3
    t5 = t4 * 0.5
    t6 = x + t5
    return t6


def backward(x, grad):
    t1 = _hypot1(x)
    t2 = 1.0 + t1
    t3 = x / t2
    t4 = grad * 0.5
    t5 = t3 * t4
    t6 = x * t4
    t7 = t6 / t2
    t8 = t3 * t6
    t9 = x / t1
    t10 = t9 / t2
    t11 = t8 * t10
    t12 = grad + t5
    t13 = t7 + t12
    t14 = t13 - t11
    return t14
