"""Latent search: ẑ = argmin_z L_c(z) + λ L_p(z)."""
