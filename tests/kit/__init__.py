"""What tests share: real repositories, processes and servers, small and disposable."""
