// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPullPayments} from "./interfaces/IPullPayments.sol";

/// @title Payments that the payee fetches
/// @dev Nothing but withdraw sends value, and it settles its own state before it does: a payee that re-enters finds no credit,
/// and a payee that refuses payment harms nobody else.
abstract contract PullPayments is IPullPayments {
    mapping(address account => uint256 amount) private _credits;

    /// @inheritdoc IPullPayments
    function withdraw() external returns (uint256 amount) {
        amount = _credits[msg.sender];
        require(amount > 0, NothingToWithdraw(msg.sender));
        _credits[msg.sender] = 0;
        emit Withdrawn(msg.sender, amount);
        (bool paid, ) = msg.sender.call{value: amount}("");
        require(paid, PaymentRefused(msg.sender, amount));
    }

    /// @inheritdoc IPullPayments
    function creditOf(address account) external view returns (uint256 amount) {
        return _credits[account];
    }

    /// @dev Owe an account more. Nothing happens for nothing.
    function _credit(address account, uint256 amount) internal {
        if (amount == 0) return;
        _credits[account] += amount;
        emit Credited(account, amount);
    }
}
