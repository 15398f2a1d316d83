import torch


def _ndtr(x):
    """The normal distribution function."""
    return 0.5 * torch.erfc(-0.7071067811865476 * x)


def forward(x):
    t1 = _ndtr(x)
    t2 = x * t1
    return t2


def backward(x, grad):
    t1 = _ndtr(x)
    t2 = grad * t1
    t3 = x * grad
    t4 = t3 * 0.3989422804014327
    t5 = x * x
    t6 = t5 * (-0.5)
    t7 = torch.exp(t6)
    t8 = t4 * t7
    t9 = t2 + t8
    return t9
