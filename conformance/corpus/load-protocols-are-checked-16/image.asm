troth-assembly 1
; image 7a5acdce841739df52b44c4560db42e85aaff6f42b87907e863dd7464288c2fd
entry main

; protocol 918f36a963319833e49e3d6e10ee7e394a6abde4cde4bcc8b919fde34abc61f0
protocol Job(A, B)
  type A
    0: B ! ask(f0: int) -> 1
    1: B ? answer(f0: str) -> 2
    2: end

program main() registers 8
    halt
