troth-assembly 1
; image e8138298e65be883961bf606ec29e04718b912e08efd50582f9a35b0ab66579d
entry main

; protocol 8901fef28a9be27ed100aae7cc3e1717d41d41bdb847dc4350029d7d9a8a54d9
protocol Pair(A, B)
  type A
    0: B ! m(f0: str) -> 1
    1: end
  type B
    0: A ? m(f0: str) -> 1
    1: end

program main() registers 8
    set r1 = "text"
    op r7 = print(r1)
    halt
