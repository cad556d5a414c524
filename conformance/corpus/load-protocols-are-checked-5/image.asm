troth-assembly 1
; image 1baad9627e555cada6601d700f9b105f7e233d5f5c3fe2bf23d8d2630734010a
entry main

; protocol c5b96e02d108545df5a0405a70240f232c1cca749eac3d16a9bc66dc017b3533
protocol P(A, B)
  type A
    0: C ! ping() -> 1
    1: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
