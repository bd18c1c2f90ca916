"""ColorVideoVDP for still pictures: the visible difference of two pictures on a given display, in JOD.

Source: Mantiuk, Hanji, Ashraf, Asano and Chapiro 2024, "ColorVideoVDP: A visual difference predictor
for image, video and display distortions", ACM Transactions on Graphics 43(4), doi 10.1145/3658144.
Constants, and details that the paper does not give: the authors' package ``cvvdp`` 0.5.7.
"""
