import torch


def forward(x):
    t1 = torch.sigmoid(x)
    t2 = x * t1
    return t2


def backward(x, grad):
    t1 = torch.sigmoid(x)
    t2 = grad * t1
    t3 = x * grad
    t4 = t1 * t3
    t5 = -x
    t6 = torch.sigmoid(t5)
    t7 = t4 * t6
    t8 = t2 + t7
    return t8
