import torch


def forward(x):
    t1 = x * 0.01
    t2 = 0.0 < x
    t3 = torch.where(t2, x, t1)
    return t3


def backward(x, grad):
    t1 = 0.0 < x
    t2 = grad * 0.01
    t3 = torch.where(t1, grad, t2)
    return t3
