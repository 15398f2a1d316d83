import torch


def forward(x):
    t1 = torch.clamp(x, min=0.0)
    return t1


def backward(x, grad):
    t1 = 0.0 < x
    t2 = torch.where(t1, grad, 0.0)
    return t2
