import torch


def _softplus(x):
    """log(1 + exp(x))."""
    return torch.clamp(x, min=0.0) + torch.log1p(torch.exp(-torch.abs(x)))


def forward(x):
    t1 = _softplus(x)
    return t1


def backward(x, grad):
    t1 = torch.sigmoid(x)
    t2 = grad * t1
    return t2
