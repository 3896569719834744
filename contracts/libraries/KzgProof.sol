// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleTree} from "./MerkleTree.sol";

/// @title Proofs that whole blobs are there, by KZG commitments
/// @notice Checks that somebody can open the polynomials of the drawn blobs at one random point.
/// @dev A blob is a polynomial P (EIP-4844), its commitment C a leaf of the holding's tree. The seed gives the coefficient γ and
/// the point z; the answer opens Σ γⁱ·Pᵢ at z, which one point evaluation (precompile 0x0a) checks against Σ γⁱ·Cᵢ, folded by
/// one multiplication (EIP-2537, precompile 0x0c). All that is committed to was fixed before the seed was known, so a wrong Pᵢ
/// passes for less than 2^13 of the 2^255 values of γ and z. dtxeth/crypto/kzg.py is the twin that makes answers.
///
/// An answer is, packed: y (32 bytes), the proof (48 bytes), the drawn commitments, the multiproof of the commitments. One
/// commitment is compressed (48 bytes), for it is only passed on; several are affine (x, y: 48 + 48 bytes each), for nothing on
/// chain decompresses them. The tree's leaves are compressed points: an affine one is compressed first, which says all of x and
/// the sign of y. The multiplication refuses coordinates above the modulus and points off the curve, so there is just one y.
///
/// A precompile that fails eats all gas that it is given: hence it is given a bounded amount. And it fails for want of gas as it
/// does for a wrong point: hence it is called only if all of that amount is there, else everything is undone. A node whose
/// wallet looks for the lowest gas limit that does not revert would otherwise find one at which its right answer is wrong.
library KzgProof {
    /// @notice Data bytes of a blob: 4096 field elements of 31 bytes.
    uint256 internal constant BLOB_SIZE = 126_976;

    uint256 private constant COMPRESSED_SIZE = 48;
    uint256 private constant AFFINE_SIZE = 96;
    /// @dev y and the proof.
    uint256 private constant OPENING_SIZE = 80;
    /// @dev A point and a scalar as EIP-2537 has them: two coordinates of 64 bytes, and 32.
    uint256 private constant TERM_SIZE = 160;
    /// @dev Order of BLS12-381's groups.
    uint256 private constant ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    uint256 private constant FIELD_ELEMENTS_PER_BLOB = 4096;
    /// @dev (p − 1) / 2 of the coordinates' field, its first 16 and last 32 bytes: above it, the sign bit of y is set.
    uint256 private constant HALF_HEAD = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_TAIL = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;
    /// @dev Twice what the EIPs ask for, so that a repricing does not turn right answers into wrong ones.
    uint256 private constant EVALUATION_GAS = 100_000;
    uint256 private constant TERM_GAS = 24_000;

    /// @notice The answer has {length} bytes, it needs at least {minimum}; make the answer again.
    error AnswerTooShort(uint256 length, uint256 minimum);
    /// @notice There are {left} gas left and a precompile must be given {needed}; send the transaction with more gas.
    error NotEnoughGas(uint256 left, uint256 needed);

    /// @notice Whether an answer proves the drawn blobs of a holding.
    /// @dev Reverts if its length does not fit; an answer that fits and is wrong is false.
    /// @param commitmentsRoot Root over the holding's commitments.
    /// @param blobCount How many they are.
    /// @param indices Numbers of the drawn blobs, at least one, ascending, distinct and below blobCount: what the caller has
    /// drawn, so not checked here. Overwritten.
    /// @param seed The challenge's.
    /// @param answer See above.
    /// @return True if it does.
    function verify(
        bytes32 commitmentsRoot,
        uint32 blobCount,
        uint32[] memory indices,
        bytes32 seed,
        bytes calldata answer
    ) internal view returns (bool) {
        uint256 count = indices.length;
        uint256 minimum = OPENING_SIZE + count * (count == 1 ? COMPRESSED_SIZE : AFFINE_SIZE);
        require(answer.length >= minimum, AnswerTooShort(answer.length, minimum));
        bytes calldata rest = answer[OPENING_SIZE:];
        bytes memory commitment = count == 1
            ? _single(rest, commitmentsRoot, blobCount, indices)
            : _folded(rest, commitmentsRoot, blobCount, indices, _scalar(seed, "kzg.coefficient"));
        return commitment.length > 0 && _opens(commitment, _scalar(seed, "kzg.point"), answer[:OPENING_SIZE]);
    }

    /// @dev The one drawn commitment if it is under the root, else nothing.
    function _single(
        bytes calldata rest,
        bytes32 commitmentsRoot,
        uint32 blobCount,
        uint32[] memory indices
    ) private view returns (bytes memory commitment) {
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = MerkleTree.leafHash(rest[:COMPRESSED_SIZE]);
        if (MerkleTree.root(hashes, indices, blobCount, rest[COMPRESSED_SIZE:]) == commitmentsRoot) {
            commitment = rest[:COMPRESSED_SIZE];
        }
    }

    /// @dev Σ γⁱ·Cᵢ if all drawn commitments are points and under the root, else nothing.
    function _folded(
        bytes calldata rest,
        bytes32 commitmentsRoot,
        uint32 blobCount,
        uint32[] memory indices,
        uint256 coefficient
    ) private view returns (bytes memory commitment) {
        (bytes32[] memory hashes, bytes memory terms) = _hashPoints(rest, indices.length, coefficient);
        rest = rest[hashes.length * AFFINE_SIZE:];
        if (MerkleTree.root(hashes, indices, blobCount, rest) == commitmentsRoot) {
            commitment = _sum(terms);
        }
    }

    /// @dev No value is 1.4 times likelier than among uniform ones, for 2^256 is 2.2 orders: chances grow by as much at most.
    function _scalar(bytes32 seed, bytes32 tag) private pure returns (uint256 scalar) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mstore(0x00, seed)
            mstore(0x20, tag)
            scalar := mod(keccak256(0x00, 0x40), ORDER)
        }
    }

    /// @dev Hashes affine points as leaves, and writes them with the powers of γ the way the multiplication wants them.
    function _hashPoints(
        bytes calldata points,
        uint256 count,
        uint256 coefficient
    ) private view returns (bytes32[] memory hashes, bytes memory terms) {
        hashes = new bytes32[](count);
        terms = new bytes(count * TERM_SIZE);
        uint256 power = 1;
        for (uint256 i = 0; i < count; ++i) {
            uint256 xHead;
            uint256 middle; // last 16 bytes of x, first 16 of y
            uint256 yTail;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                let point := add(points.offset, mul(i, AFFINE_SIZE))
                xHead := calldataload(point)
                middle := calldataload(add(point, 32))
                yTail := calldataload(add(point, 64))
                let term := add(add(terms, 32), mul(i, TERM_SIZE))
                calldatacopy(add(term, 16), point, 48)
                calldatacopy(add(term, 80), add(point, 48), 48)
                mstore(add(term, 128), power)
            }
            hashes[i] = _leafHash(_compress(xHead, uint128(middle), yTail), bytes16(bytes32(middle)));
            power = mulmod(power, coefficient, ORDER);
        }
    }

    /// @dev The first 32 of a point's 48 compressed bytes; the others are the last ones of x. At infinity both coordinates are
    /// zero in EIP-2537. The group's order is odd, so no other point has y = 0.
    function _compress(uint256 xHead, uint256 yHead, uint256 yTail) private pure returns (bytes32) {
        uint256 flags = 0x80;
        if (yHead | yTail == 0) flags = 0xc0;
        else if (yHead > HALF_HEAD || (yHead == HALF_HEAD && yTail > HALF_TAIL)) flags = 0xa0;
        return bytes32(xHead | (flags << 248));
    }

    function _leafHash(bytes32 head, bytes16 tail) private view returns (bytes32 hash) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0x00)
            mstore(add(buffer, 1), head)
            mstore(add(buffer, 33), tail)
            if iszero(staticcall(gas(), 0x02, buffer, 49, 0x00, 32)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }

    /// @dev The sum, compressed; nothing if a coordinate is above the modulus, or a point off the curve or outside the group.
    function _sum(bytes memory terms) private view returns (bytes memory commitment) {
        uint256 stipend = (terms.length / TERM_SIZE) * TERM_GAS;
        _requireGas(stipend);
        bool valid;
        uint256 xHead;
        uint256 xTail;
        uint256 yHead;
        uint256 yTail;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let result := mload(0x40)
            valid := staticcall(stipend, 0x0c, add(terms, 32), mload(terms), result, 128)
            valid := and(valid, eq(returndatasize(), 128))
            xHead := mload(add(result, 16))
            xTail := mload(add(result, 32))
            yHead := mload(add(result, 64))
            yTail := mload(add(result, 96))
        }
        if (valid) {
            commitment = abi.encodePacked(_compress(xHead, uint128(yHead), yTail), uint128(xTail));
        }
    }

    /// @dev Whether the polynomial that is committed to gives y at z.
    function _opens(
        bytes memory commitment,
        uint256 z,
        bytes calldata opening
    ) private view returns (bool valid) {
        _requireGas(EVALUATION_GAS);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            // versioned hash ‖ z ‖ y ‖ commitment ‖ proof
            let input := mload(0x40)
            mstore(add(input, 32), z)
            calldatacopy(add(input, 64), opening.offset, 32)
            mcopy(add(input, 96), add(commitment, 32), COMPRESSED_SIZE)
            calldatacopy(add(input, 144), add(opening.offset, 32), 48)
            if iszero(staticcall(gas(), 0x02, add(input, 96), COMPRESSED_SIZE, input, 32)) { revert(0, 0) }
            mstore8(input, 0x01)
            valid := staticcall(EVALUATION_GAS, 0x0a, input, 192, 0x00, 64)
            valid := and(valid, eq(returndatasize(), 64))
            valid := and(valid, eq(mload(0x00), FIELD_ELEMENTS_PER_BLOB))
            valid := and(valid, eq(mload(0x20), ORDER))
        }
    }

    /// @dev A call is given at most 63/64 of what is left (EIP-150); 2,000 are for what lies between here and there.
    function _requireGas(uint256 stipend) private view {
        uint256 needed = stipend + stipend / 63 + 2000;
        require(gasleft() >= needed, NotEnoughGas(gasleft(), needed));
    }
}
