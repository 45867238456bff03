"""Triton kernels. Import them inside functions: most machines have no Triton."""
