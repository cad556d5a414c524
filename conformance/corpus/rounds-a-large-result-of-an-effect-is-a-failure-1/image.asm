troth-assembly 1
; image 1d88caaf2bdf19245e550169c156b270146dd0add0ef6f144d61828e105bfefb
entry main

; protocol 8901fef28a9be27ed100aae7cc3e1717d41d41bdb847dc4350029d7d9a8a54d9
protocol Pair(A, B)
  type A
    0: B ! m(f0: str) -> 1
    1: end
  type B
    0: A ? m(f0: str) -> 1
    1: end

effect text() -> str

program main() registers 8
    invoke r1 = text()
    halt
